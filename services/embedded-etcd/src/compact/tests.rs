//! The rule of automatic compaction.

use super::*;

#[test]
fn waits_until_twice_as_much_is_held() {
    assert_eq!(due(200, -1, 100), None);
    assert_eq!(due(201, -1, 100), Some(101));
    assert_eq!(due(301, 101, 100), None);
    assert_eq!(due(302, 101, 100), Some(202));
    assert_eq!(due(5, 3, 0), Some(5));
    assert_eq!(due(i64::MAX, 0, u64::MAX), None);
}
