//! The only clock of the mesh.
//!
//! Promises: real time when made by [`Clock::system`], and the runtime's virtual time when made by
//! [`Clock::simulated`], with no difference for the code that reads it. Leaves journal time, which must not go back,
//! to whoever leads.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lepton_domain::time::Timestamp;
use tokio::time::Instant;

/// Reads the time. Clones read the same clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    /// The wall time at the origin, where the wall clock is not the system's.
    simulated: Option<Timestamp>,
}

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Self {
        Self {
            origin: instant(),
            simulated: None,
        }
    }

    /// A clock that shows `start` now and goes on with tokio's time, which a simulator may control. Make it inside
    /// the runtime that will read it: each has its own virtual time.
    pub fn simulated(start: Timestamp) -> Self {
        Self {
            origin: instant(),
            simulated: Some(start),
        }
    }

    /// The wall clock. It may jump, also back; compare durations by [`Clock::monotonic`].
    pub fn now(&self) -> Timestamp {
        self.simulated.map_or_else(wall, |start| start.plus(self.monotonic()))
    }

    /// The time since this clock was made; never goes back.
    pub fn monotonic(&self) -> Duration {
        instant().saturating_duration_since(self.origin)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
fn instant() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn wall() -> Timestamp {
    // A machine whose clock stands before 1970 shows 0 rather than failing.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_shows_this_century_and_advances() {
        let clock = Clock::system();
        assert!(clock.now() > Timestamp::from_micros(1_700_000_000_000_000));
        let before = clock.monotonic();
        assert!(clock.monotonic() >= before);
    }

    #[tokio::test]
    async fn a_simulated_clock_starts_where_told() {
        let start = Timestamp::from_micros(1_000_000);
        let clock = Clock::simulated(start);
        tokio::time::sleep(Duration::from_millis(2)).await;
        let shown = clock.now().since(start);
        assert!(
            shown >= Duration::from_millis(2) && shown < Duration::from_secs(60),
            "{shown:?}"
        );
    }
}
