//! Deletes the blobs of purged tasks, some time after the purge has committed.
//!
//! Promises: nothing is deleted before its grace has passed; a blob store that fails is tried again. What is still
//! waiting when the process ends stays behind: it costs space, never data.

use std::time::Duration;

use lepton_core::backoff::Backoff;
use lepton_core::blob::Blobs;
use lepton_core::clock::Clock;
use lepton_domain::ids::TaskId;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Tasks that may wait to be swept; more are left behind.
const WAITING_MAX: usize = 100_000;
/// Number of times that a deletion is tried.
const TRIES_MAX: u32 = 3;
/// Pause after the first failure.
const RETRY_MIN: Duration = Duration::from_secs(2);
/// Pause after the last failure but one.
const RETRY_MAX: Duration = Duration::from_secs(4);

/// Handle to the task that deletes blobs.
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

    /// Queues the blobs of a purged task for deletion after the grace.
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

/// Deletes in the order of the purges, which all wait equally long: waiting for the first is enough.
async fn sweep(blobs: Blobs, clock: Clock, mut purged: mpsc::Receiver<(Duration, TaskId)>) {
    while let Some((due, task)) = purged.recv().await {
        tokio::time::sleep(due.saturating_sub(clock.monotonic())).await;
        delete(&blobs, task).await;
    }
}

async fn delete(blobs: &Blobs, task: TaskId) {
    let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
    for number in 1..=TRIES_MAX {
        let Err(error) = blobs.delete_task(task).await else {
            return;
        };
        tracing::warn!(%task, %error, "the blobs of a purged task could not be deleted");
        if number < TRIES_MAX {
            tokio::time::sleep(backoff.delay()).await;
        }
    }
}
