//! Deletes the blobs of purged tasks, some time after the purge has committed.
//!
//! Promises: nothing is deleted before its grace has passed; a blob store that fails is tried again. What is still
//! waiting when the process ends stays behind: it costs space, never data.

use std::time::Duration;

use lepton_core::blob::Blobs;
use lepton_core::clock::Clock;
use lepton_domain::ids::TaskId;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Tasks that may wait to be swept; more are left behind.
const WAITING_MAX: usize = 100_000;
/// How often a failed deletion is tried.
const TRIES_MAX: u32 = 3;
/// How long after the first failure, and twice as long after the second.
const TRY_AFTER: Duration = Duration::from_secs(2);

/// Takes tasks whose blobs are to go.
#[derive(Clone)]
pub(crate) struct Sweeper {
    waiting: mpsc::Sender<(Duration, TaskId)>,
    clock: Clock,
    grace: Duration,
}

impl Sweeper {
    /// Starts sweeping in `tasks`.
    pub fn start(blobs: Blobs, clock: Clock, grace: Duration, tasks: &mut JoinSet<()>) -> Self {
        let (waiting, purged) = mpsc::channel(WAITING_MAX);
        tasks.spawn(sweep(blobs, clock, purged));
        Self { waiting, clock, grace }
    }

    /// Has the blobs of a purged task deleted.
    pub fn delete(&self, task: TaskId) {
        if self
            .waiting
            .try_send((self.clock.monotonic() + self.grace, task))
            .is_err()
        {
            tracing::warn!(%task, "too many purged tasks wait; the blobs of this one stay behind");
        }
    }
}

/// Purges come in order and wait equally long, so that waiting for the first is enough.
async fn sweep(blobs: Blobs, clock: Clock, mut purged: mpsc::Receiver<(Duration, TaskId)>) {
    while let Some((due, task)) = purged.recv().await {
        tokio::time::sleep(due.saturating_sub(clock.monotonic())).await;
        delete(&blobs, task).await;
    }
}

async fn delete(blobs: &Blobs, task: TaskId) {
    for number in 0..TRIES_MAX {
        tokio::time::sleep(TRY_AFTER * number).await;
        match blobs.delete_task(task).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%task, %error, "the blobs of a purged task could not be deleted"),
        }
    }
}
