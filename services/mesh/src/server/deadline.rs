//! Deadlines of callers.
//!
//! Promises: the caller's `grpc-timeout` shrinks at each hop by the time that the hop took. Leaves refusing late work
//! to `stack` and passing the rest on to whoever calls further.

use std::time::Duration;

use http::HeaderMap;

use lepton_core::clock::Clock;

/// The header of the gRPC protocol.
pub const GRPC_TIMEOUT: &str = "grpc-timeout";

/// Time at which the caller of a request gives up, on the monotonic clock of this process; among the request's
/// extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    at: Duration,
}

impl Deadline {
    /// The deadline of a request with these headers that has just arrived, if it has one.
    pub fn from_headers(headers: &HeaderMap, clock: &Clock) -> Option<Self> {
        let timeout = parse(headers.get(GRPC_TIMEOUT)?.to_str().ok()?)?;
        Some(Self::after(timeout, clock))
    }

    /// The deadline this long from now.
    pub fn after(timeout: Duration, clock: &Clock) -> Self {
        Self {
            at: clock.monotonic().saturating_add(timeout),
        }
    }

    /// Remaining time; zero once the deadline has passed. `clock` must be the one that it was made with.
    pub fn remaining(&self, clock: &Clock) -> Duration {
        self.at.saturating_sub(clock.monotonic())
    }
}

/// At most eight digits and a unit, as the protocol has it.
fn parse(text: &str) -> Option<Duration> {
    let split = text
        .len()
        .checked_sub(1)
        .filter(|digits| (1..=8).contains(digits) && text.is_char_boundary(*digits))?;
    let (digits, unit) = text.split_at(split);
    let number: u64 = if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits.parse().ok()?
    } else {
        return None;
    };
    Some(match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_those_of_the_protocol() {
        assert_eq!(parse("10S"), Some(Duration::from_secs(10)));
        assert_eq!(parse("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        assert_eq!(parse("250m"), Some(Duration::from_millis(250)));
        for bad in ["", "S", "10", "10s", "-1S", "123456789S", "1\u{e9}"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_left_shrinks_to_zero() {
        let clock = Clock::system();
        let deadline = Deadline::after(Duration::from_secs(60), &clock);
        assert!(deadline.remaining(&clock) > Duration::from_secs(50));
        assert_eq!(
            Deadline::after(Duration::ZERO, &clock).remaining(&clock),
            Duration::ZERO
        );
    }
}
