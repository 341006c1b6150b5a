//! Following one task over changes of the leader.
//!
//! Promises: versions never go back; a break in between costs time, not the watcher. Leaves the form of what is sent to
//! its callers.

use std::time::Duration;

use futures::Stream;
use lepton_core::error;
use lepton_core::shutdown::Shutdown;
use lepton_domain::ids::{TaskId, Tenant};
use lepton_domain::reason::{ApiError, Reason};
use lepton_mesh::channel::leader::{LeaderChannel, LeaderLink};
use lepton_proto::convert::task_id_bytes;
use lepton_proto::scheduler::v1::{WatchTaskRequest, WatchTaskResponse};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Streaming;

use super::error::CallError;
use super::leader;
use super::snapshot::{TaskSnapshot, WatchCursor};

/// Longest wait of a watcher for a leader.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause before the next call after a refusal.
const PAUSE: Duration = Duration::from_millis(100);

/// The committed states of a task, the present one first, and its progress in between, until it has ended. The last item
/// may be an error. The permit is free again when the stream is dropped or has ended.
///
/// From `draining` on it ends, so that a watcher goes elsewhere and does not hold up the drain.
pub fn follow(
    leader: LeaderChannel,
    tenant: Tenant,
    task: TaskId,
    draining: Shutdown,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<TaskSnapshot, ApiError>> + Send {
    let watcher = Watcher {
        leader,
        tenant,
        task,
        draining,
        stream: None,
        cursor: WatchCursor::default(),
        _permit: permit,
    };
    futures::stream::unfold(Some(watcher), |state| async {
        let mut watcher = state?;
        match watcher.next().await {
            Some(Ok(snapshot)) if snapshot.task.state.is_final() => Some((Ok(snapshot), None)),
            Some(Ok(snapshot)) => Some((Ok(snapshot), Some(watcher))),
            Some(Err(error)) => Some((Err(error), None)),
            None => None,
        }
    })
}

struct Watcher {
    leader: LeaderChannel,
    tenant: Tenant,
    task: TaskId,
    draining: Shutdown,
    stream: Option<(LeaderLink, Streaming<WatchTaskResponse>)>,
    cursor: WatchCursor,
    _permit: OwnedSemaphorePermit,
}

impl Watcher {
    async fn next(&mut self) -> Option<Result<TaskSnapshot, ApiError>> {
        loop {
            let Some((link, stream)) = &mut self.stream else {
                match tokio::time::timeout(PATIENCE, self.connect()).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => return Some(Err(error)),
                    Err(_) => return Some(Err(CallError::NoLeaderToWatch.into())),
                }
            };
            let changed = self.leader.changed();
            if self.leader.current().is_none_or(|now| now.epoch != link.epoch) {
                // A frozen leader keeps its streams open and sends nothing.
                self.stream = None;
                continue;
            }
            let message = tokio::select! {
                message = stream.message() => message,
                () = changed => continue,
                () = self.draining.triggered() => return Some(Err(CallError::Draining.into())),
            };
            match message.map_err(|status| error::from_status(&status)) {
                Ok(Some(message)) => match self.newer(message) {
                    Ok(None) => {}
                    Ok(Some(snapshot)) => return Some(Ok(snapshot)),
                    Err(error) => return Some(Err(error)),
                },
                Err(error) if !may_pass(&error) => return Some(Err(error)),
                Ok(None) | Err(_) => {
                    self.stream = None;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Opens a stream to the leader, whichever instance it is by then.
    async fn connect(&mut self) -> Result<(), ApiError> {
        let request = WatchTaskRequest {
            task: task_id_bytes(self.task),
            tenant: self.tenant.as_str().to_owned(),
        };
        loop {
            let opened = leader::call(&self.leader, leader::watch_client, |mut leader| {
                let request = request.clone();
                async move { leader.watch_task(request).await }
            });
            match opened.await {
                Ok(stream) => {
                    self.stream = Some(stream);
                    return Ok(());
                }
                Err(error) if may_pass(&error) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// The task in a message, if it is newer.
    fn newer(&mut self, message: WatchTaskResponse) -> Result<Option<TaskSnapshot>, ApiError> {
        let absent = || CallError::Unreadable("a change without a task".to_owned());
        let snapshot = TaskSnapshot::from_wire(
            message.task.ok_or_else(absent)?,
            message.progress,
            message.pending_reason,
        )?;
        Ok(self.cursor.advance(&snapshot).then_some(snapshot))
    }
}

/// True where another leader, or the same a little later, may serve the watcher.
fn may_pass(error: &ApiError) -> bool {
    leader::is_elsewhere(error.reason) || error.reason == Reason::WatchLagged || error::is_retryable(error)
}
