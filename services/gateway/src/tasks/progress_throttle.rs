//! Throttle of a watch: committed states with their large payloads, and progress in between.
//!
//! Promises: every committed state is passed on; a large input is fetched once; a report of progress repeats the whole task,
//! so those of a task with large payloads come less often. Leaves following to [`super::watch`], and forms to [`super::grpc`]
//! and [`super::rest`].

use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use lepton_core::clock::Clock;
use lepton_domain::ids::Version;
use lepton_domain::reason::ApiError;

use super::payloads::{KnownInput, Payloads, stored_bytes};
use super::snapshot::TaskSnapshot;
use super::view::View;

#[cfg(test)]
mod tests;

/// Bytes per second of payloads that a watcher has received already.
const REPEATED_BYTES_PER_S: u64 = 1024 * 1024;

/// The snapshots of one task.
pub type Snapshots = Pin<Box<dyn Stream<Item = Result<TaskSnapshot, ApiError>> + Send>>;

/// The views of a task's snapshots.
pub fn views(
    snapshots: Snapshots,
    payloads: Payloads,
    clock: Clock,
) -> impl Stream<Item = Result<View, ApiError>> + Send {
    let throttle = ProgressThrottle {
        snapshots,
        payloads,
        clock,
        input: None,
        last: None,
    };
    futures::stream::unfold(throttle, |mut throttle| async {
        Some((throttle.next().await?, throttle))
    })
}

struct ProgressThrottle {
    snapshots: Snapshots,
    payloads: Payloads,
    clock: Clock,
    /// A large input, which never changes.
    input: Option<KnownInput>,
    /// Version of the last view, and its time.
    last: Option<(Version, Duration)>,
}

impl ProgressThrottle {
    async fn next(&mut self) -> Option<Result<View, ApiError>> {
        loop {
            match self.snapshots.next().await? {
                Ok(snapshot) if self.is_too_soon(&snapshot) => {}
                Ok(snapshot) => return Some(self.view(snapshot).await),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// True for a repetition of the last state that is too large to follow so soon.
    fn is_too_soon(&self, snapshot: &TaskSnapshot) -> bool {
        let Some((version, shown)) = self.last else {
            return false;
        };
        let since = self.clock.monotonic().saturating_sub(shown);
        version == snapshot.task.version && since < pause(stored_bytes(&snapshot.task))
    }

    async fn view(&mut self, snapshot: TaskSnapshot) -> Result<View, ApiError> {
        let resolved = self.payloads.resolve(&snapshot.task, self.input.as_ref()).await?;
        self.input = KnownInput::of(&snapshot.task, &resolved);
        self.last = Some((snapshot.task.version, self.clock.monotonic()));
        Ok(View::new(snapshot, resolved))
    }
}

/// The time between two repetitions of a task with so many bytes in the blob store.
fn pause(stored: u64) -> Duration {
    Duration::from_millis(stored.saturating_mul(1_000) / REPEATED_BYTES_PER_S)
}
