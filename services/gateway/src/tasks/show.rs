//! What a watcher is shown: committed states with their large payloads, and progress in between.
//!
//! Promises: every committed state is shown; a large input is fetched once; news of progress repeat the whole task, so
//! those of a task with large payloads come less often. Leaves following to `watch` and forms to `grpc` and `rest`.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use lepton_core::clock::Clock;
use lepton_domain::ids::Version;
use lepton_domain::reason::Fault;

use super::current::Current;
use super::payloads::{Payloads, stored_bytes};
use super::view::View;

#[cfg(test)]
mod tests;

/// What news of progress may cost a watcher, of payloads that it has seen already.
const REPEATED_BYTES_PER_S: u64 = 1024 * 1024;

/// The states of one task.
pub type States = Pin<Box<dyn Stream<Item = Result<Current, Fault>> + Send>>;

/// The views of a task's states.
pub fn views(states: States, payloads: Payloads, clock: Clock) -> impl Stream<Item = Result<View, Fault>> + Send {
    let show = Show {
        states,
        payloads,
        clock,
        input: None,
        last: None,
    };
    futures::stream::unfold(show, |mut show| async { Some((show.next().await?, show)) })
}

struct Show {
    states: States,
    payloads: Payloads,
    clock: Clock,
    /// A large input, which never changes.
    input: Option<Bytes>,
    /// Which state was shown last, and when.
    last: Option<(Version, Duration)>,
}

impl Show {
    async fn next(&mut self) -> Option<Result<View, Fault>> {
        loop {
            match self.states.next().await? {
                Ok(current) if self.is_too_soon(&current) => {}
                Ok(current) => return Some(self.view(current).await),
                Err(fault) => return Some(Err(fault)),
            }
        }
    }

    /// Whether the same state has just been shown, and is too large to be repeated so soon.
    fn is_too_soon(&self, current: &Current) -> bool {
        let Some((version, shown)) = self.last else {
            return false;
        };
        let since = self.clock.monotonic().saturating_sub(shown);
        version == current.task.version && since < pause(stored_bytes(&current.task))
    }

    async fn view(&mut self, current: Current) -> Result<View, Fault> {
        let resolved = self.payloads.resolve(&current.task, self.input.take()).await?;
        self.input.clone_from(&resolved.input);
        self.last = Some((current.task.version, self.clock.monotonic()));
        Ok(View::new(current, resolved))
    }
}

/// The time between two repetitions of a task with so many bytes in the blob store.
fn pause(stored: u64) -> Duration {
    Duration::from_millis(stored.saturating_mul(1_000) / REPEATED_BYTES_PER_S)
}
