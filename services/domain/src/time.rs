//! Journal time as a value.
//!
//! Promises: arithmetic saturates, so that no deadline of a client can overflow. Leaves reading a clock to the mesh and
//! printing dates to the wire.

use std::time::Duration;

/// Microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Latest time.
    pub const MAX: Self = Self(u64::MAX);

    /// Time that many microseconds after the Unix epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Milliseconds since the Unix epoch, as in UUIDv7.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Time this much later, at most [`Timestamp::MAX`].
    pub fn plus(self, delay: Duration) -> Self {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// Time this much earlier, at least the Unix epoch.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(micros))
    }

    /// Duration since `earlier`; zero if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::from_micros(5).plus(Duration::MAX), Timestamp::MAX);
        assert_eq!(
            Timestamp::from_micros(5).since(Timestamp::from_micros(9)),
            Duration::ZERO
        );
        assert_eq!(
            Timestamp::from_micros(9).since(Timestamp::from_micros(5)),
            Duration::from_micros(4)
        );
        let hour_in = Timestamp::from_micros(3_600_000_001);
        assert_eq!(hour_in.minus(Duration::from_secs(3_600)), Timestamp::from_micros(1));
        assert_eq!(hour_in.minus(Duration::MAX), Timestamp::from_micros(0));
        assert_eq!(Timestamp::from_micros(1_999).as_millis(), 1);
    }
}
