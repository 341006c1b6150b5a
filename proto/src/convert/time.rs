//! Times and durations: journal microseconds on one side, protobuf's well-known types on the other.
//!
//! Promises: a time read from the wire lies on a whole microsecond, so that it survives the journal unchanged. Leaves
//! clocks to `lepton-core`.

use std::time::Duration;

use lepton_domain::time::Timestamp;

use super::{ConvertError, Problem};

/// The last second that RFC 3339 can name: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// The time as protobuf's; times after the year 9999 become its last second, because JSON cannot name later ones.
pub fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.as_micros().min(LAST_SECOND * 1_000_000);
    let nanos = (micros % 1_000_000) * 1_000;
    prost_types::Timestamp {
        seconds: (micros / 1_000_000).cast_signed(),
        nanos: i32::try_from(nanos).unwrap_or(0),
    }
}

/// Reads a protobuf time, rounded down to the microsecond. Fails outside the years 1970 to 9999.
pub fn read_timestamp(field: &'static str, time: &prost_types::Timestamp) -> Result<Timestamp, ConvertError> {
    let wrong = |_| ConvertError::new(field, Problem::Time);
    let seconds = u64::try_from(time.seconds).map_err(wrong)?;
    let nanos = u64::try_from(time.nanos).map_err(wrong)?;
    if seconds > LAST_SECOND || nanos >= 1_000_000_000 {
        return Err(ConvertError::new(field, Problem::Time));
    }
    Ok(Timestamp::from_micros(seconds * 1_000_000 + nanos / 1_000))
}

/// The duration as protobuf's, at most the 10,000 years that it allows.
pub fn duration(duration: Duration) -> prost_types::Duration {
    let seconds = duration.as_secs().min(315_576_000_000);
    let nanos = i32::try_from(duration.subsec_nanos()).unwrap_or(0);
    prost_types::Duration {
        seconds: seconds.cast_signed(),
        nanos,
    }
}

/// Reads a protobuf duration, rounded up to the microsecond, so that a short one does not become none. Fails below
/// zero.
pub fn read_duration(field: &'static str, duration: &prost_types::Duration) -> Result<Duration, ConvertError> {
    let wrong = |_| ConvertError::new(field, Problem::Time);
    let seconds = u64::try_from(duration.seconds).map_err(wrong)?;
    let nanos = u64::try_from(duration.nanos).map_err(wrong)?;
    if seconds > 315_576_000_000 || nanos >= 1_000_000_000 {
        return Err(ConvertError::new(field, Problem::Time));
    }
    Ok(Duration::from_micros(seconds * 1_000_000 + nanos.div_ceil(1_000)))
}

/// Whole microseconds, saturating.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
