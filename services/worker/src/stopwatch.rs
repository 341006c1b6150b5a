//! How long an attempt has run, the time left out in which it waited for a processor or for memory.
//!
//! Promises: an attempt's limit is for its own work, however many others want the same processor.

use std::sync::Arc;
use std::time::Duration;

use lepton_core::clock::Clock;
use tokio::sync::watch;

/// A watch that runs from the start. Clones are the same watch.
#[derive(Debug, Clone)]
pub struct Stopwatch {
    pauses: Arc<watch::Sender<u32>>,
}

/// It stands still until this is dropped.
#[derive(Debug)]
pub struct Pause {
    stopwatch: Stopwatch,
}

impl Default for Stopwatch {
    fn default() -> Self {
        Self {
            pauses: Arc::new(watch::Sender::new(0)),
        }
    }
}

impl Stopwatch {
    /// Stands still.
    pub fn pause(&self) -> Pause {
        self.pauses.send_modify(|pauses| *pauses += 1);
        Pause {
            stopwatch: self.clone(),
        }
    }

    /// Completes when it has run for so long from now on.
    pub async fn passed(&self, limit: Duration, clock: Clock) {
        let (mut pauses, mut left) = (self.pauses.subscribe(), limit);
        loop {
            // The sender lives as long as this borrow.
            let _ = pauses.wait_for(|pauses| *pauses == 0).await;
            let since = clock.monotonic();
            tokio::select! {
                () = tokio::time::sleep(left) => return,
                _ = pauses.wait_for(|pauses| *pauses > 0) => {}
            }
            left = left.saturating_sub(clock.monotonic().saturating_sub(since));
        }
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.stopwatch.pauses.send_modify(|pauses| *pauses -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_do_not_count() {
        const SECOND: Duration = Duration::from_secs(1);
        let (clock, stopwatch) = (Clock::system(), Stopwatch::default());
        let begun = clock.monotonic();
        let pauses = async {
            tokio::time::sleep(SECOND).await;
            let (one, other) = (stopwatch.pause(), stopwatch.pause());
            tokio::time::sleep(SECOND * 60).await;
            drop(one);
            tokio::time::sleep(SECOND * 60).await;
            drop(other);
        };
        tokio::join!(stopwatch.passed(SECOND * 3, clock), pauses);
        let took = clock.monotonic() - begun;
        assert!((SECOND * 123..SECOND * 124).contains(&took), "{took:?}");
    }
}
