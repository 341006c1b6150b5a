//! A hold is bounded, and an attempt has one.

use super::*;

fn attempt(number: u32) -> AttemptId {
    AttemptId {
        task: TaskId::from_u128(7),
        number,
    }
}

#[test]
fn an_attempt_holds_its_task_once_and_for_a_bounded_time() {
    let (mut holds, task) = (Holds::default(), attempt(1).task);
    let start = Duration::from_secs(100);
    assert!(holds.hold(attempt(1), start) && holds.covers(&task));
    assert!(holds.expire(start).is_empty());
    assert!(
        !holds.hold(attempt(1), start),
        "announcing it again does not prolong it"
    );
    assert_eq!(holds.expire(start + HOLD_MAX), [task]);
    assert!(!holds.covers(&task) && holds.expire(start + HOLD_MAX).is_empty());
    assert!(!holds.hold(attempt(1), start + HOLD_MAX), "nor does it begin anew");
    assert!(holds.hold(attempt(2), start + HOLD_MAX), "another attempt may");
}

#[test]
fn a_report_ends_a_hold() {
    let (mut holds, task) = (Holds::default(), attempt(1).task);
    assert!(!holds.end(&task));
    assert!(holds.hold(attempt(1), Duration::ZERO));
    assert!(holds.end(&task) && !holds.end(&task));
    assert!(!holds.covers(&task) && !holds.hold(attempt(1), Duration::ZERO));
    holds.forget(&task);
    assert!(holds.by_task.is_empty());
}
