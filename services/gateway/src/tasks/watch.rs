//! Following one task over changes of the leader.
//!
//! Promises: versions never go back; a break in between costs time, not the watcher. Leaves the form of what is sent to
//! its callers.

use std::time::Duration;

use futures::Stream;
use lepton_core::error;
use lepton_core::shutdown::Shutdown;
use lepton_domain::ids::{TaskId, Tenant};
use lepton_domain::reason::{Fault, Reason};
use lepton_mesh::channel::leader::{LeaderChannel, LeaderLink};
use lepton_proto::convert::task_id_bytes;
use lepton_proto::scheduler::v1::{WatchTaskRequest, WatchTaskResponse};
use tonic::Streaming;

use super::current::{Current, Seen};
use super::leader;

/// How long a watcher waits for a leader before it is told that there is none.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause before a leader that refused is asked again.
const PAUSE: Duration = Duration::from_millis(100);
/// When to try again after that.
const RETRY: Duration = Duration::from_secs(1);

/// The committed states of a task, the present one first, and its progress in between, until it has ended. The last item may be a fault.
///
/// From `draining` on it ends, so that a watcher goes elsewhere and does not hold up the drain.
pub fn follow(
    leader: LeaderChannel,
    tenant: Tenant,
    task: TaskId,
    draining: Shutdown,
) -> impl Stream<Item = Result<Current, Fault>> + Send {
    let watcher = Watcher {
        leader,
        tenant,
        task,
        draining,
        stream: None,
        seen: Seen::default(),
    };
    futures::stream::unfold(Some(watcher), |state| async {
        let mut watcher = state?;
        match watcher.next().await {
            Some(Ok(current)) if current.task.state.is_final() => Some((Ok(current), None)),
            Some(Ok(current)) => Some((Ok(current), Some(watcher))),
            Some(Err(fault)) => Some((Err(fault), None)),
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
    seen: Seen,
}

impl Watcher {
    async fn next(&mut self) -> Option<Result<Current, Fault>> {
        loop {
            let Some((link, stream)) = &mut self.stream else {
                match tokio::time::timeout(PATIENCE, self.connect()).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(fault)) => return Some(Err(fault)),
                    Err(_) => return Some(Err(no_leader())),
                }
            };
            let changed = self.leader.changed();
            if self.leader.current().is_none_or(|now| now.epoch != link.epoch) {
                // One that was stopped keeps its streams open and says nothing.
                self.stream = None;
                continue;
            }
            let message = tokio::select! {
                message = stream.message() => message,
                () = changed => continue,
                () = self.draining.triggered() => return Some(Err(leaving())),
            };
            match message.map_err(|status| error::fault(&status)) {
                Ok(Some(message)) => match self.newer(message) {
                    Ok(None) => {}
                    Ok(Some(current)) => return Some(Ok(current)),
                    Err(fault) => return Some(Err(fault)),
                },
                Err(fault) if !may_pass(&fault) => return Some(Err(fault)),
                Ok(None) | Err(_) => {
                    self.stream = None;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Opens a stream to the leader, whoever it is by then.
    async fn connect(&mut self) -> Result<(), Fault> {
        let request = WatchTaskRequest {
            task: task_id_bytes(self.task),
            tenant: self.tenant.as_str().to_owned(),
        };
        loop {
            let opened = leader::call(&self.leader, |mut leader| {
                let request = request.clone();
                async move { leader.watch_task(request).await }
            });
            match opened.await {
                Ok(stream) => {
                    self.stream = Some(stream);
                    return Ok(());
                }
                Err(fault) if may_pass(&fault) => tokio::time::sleep(PAUSE).await,
                Err(fault) => return Err(fault),
            }
        }
    }

    /// The task in a message, if it is news.
    fn newer(&mut self, message: WatchTaskResponse) -> Result<Option<Current>, Fault> {
        let absent = || Fault::new(Reason::Internal, "the leader sent a change without a task");
        let current = Current::read(message.task.ok_or_else(absent)?, message.progress)?;
        Ok(self.seen.is_news(&current).then_some(current))
    }
}

/// Whether a watcher may hope: another leader, or the same a little later, knows more.
fn may_pass(fault: &Fault) -> bool {
    leader::is_elsewhere(fault.reason) || fault.reason == Reason::WatchLagged || error::is_retryable(fault)
}

fn leaving() -> Fault {
    let message = "this gateway is about to stop; watch again through another one, the task goes on";
    Fault::new(Reason::InstanceDraining, message).retry_after(PAUSE)
}

fn no_leader() -> Fault {
    let message = "no scheduler leads at the moment; watch again shortly, the task goes on";
    Fault::new(Reason::LeaderUnavailable, message).retry_after(RETRY)
}
