//! Time an attempt is active: its run without the time that it waited for a processor or for memory.
//!
//! Promises: an attempt's limit bounds its own work, however many others compete for the same processor.

use std::sync::Arc;
use std::time::Duration;

use lepton_core::clock::Clock;
use tokio::sync::watch;

/// A timer that runs from the start and can be paused. Clones are the same timer.
#[derive(Debug, Clone)]
pub(crate) struct ActiveTimer {
    pauses: Arc<watch::Sender<u32>>,
}

/// A pause of an [`ActiveTimer`], which lasts until this is dropped. Pauses may overlap.
#[derive(Debug)]
pub(crate) struct TimerPause {
    timer: ActiveTimer,
}

impl Default for ActiveTimer {
    fn default() -> Self {
        Self {
            pauses: Arc::new(watch::Sender::new(0)),
        }
    }
}

impl ActiveTimer {
    /// Pauses the timer.
    pub(crate) fn pause(&self) -> TimerPause {
        self.pauses.send_modify(|pauses| *pauses += 1);
        TimerPause { timer: self.clone() }
    }

    /// Completes when the timer has run for `limit` from now on.
    pub(crate) async fn elapsed(&self, limit: Duration, clock: Clock) {
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

impl Drop for TimerPause {
    fn drop(&mut self) {
        self.timer.pauses.send_modify(|pauses| *pauses -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_do_not_count() {
        const SECOND: Duration = Duration::from_secs(1);
        let (clock, timer) = (Clock::system(), ActiveTimer::default());
        let begun = clock.monotonic();
        let pauses = async {
            tokio::time::sleep(SECOND).await;
            let (one, other) = (timer.pause(), timer.pause());
            tokio::time::sleep(SECOND * 60).await;
            drop(one);
            tokio::time::sleep(SECOND * 60).await;
            drop(other);
        };
        tokio::join!(timer.elapsed(SECOND * 3, clock), pauses);
        let took = clock.monotonic() - begun;
        assert!((SECOND * 123..SECOND * 124).contains(&took), "{took:?}");
    }
}
