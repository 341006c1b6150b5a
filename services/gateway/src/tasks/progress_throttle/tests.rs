//! Repetitions cost a bounded rate.

use super::*;

#[test]
fn what_is_large_is_repeated_less_often() {
    assert_eq!(pause(0), Duration::ZERO, "what is small is repeated as it comes");
    assert_eq!(pause(REPEATED_BYTES_PER_S / 2), Duration::from_millis(500));
    assert_eq!(pause(64 * REPEATED_BYTES_PER_S), Duration::from_secs(64));
    assert!(pause(u64::MAX) > Duration::from_secs(60), "it does not overflow");
}
