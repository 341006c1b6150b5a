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
    let (mut held, task) = (HeldTasks::default(), attempt(1).task);
    let start = Duration::from_secs(100);
    assert!(held.hold(attempt(1), start) && held.covers(&task));
    assert!(held.expire(start).is_empty());
    assert!(!held.hold(attempt(1), start), "announcing it again does not prolong it");
    assert_eq!(held.expire(start + REPORT_GRACE), [task]);
    assert!(!held.covers(&task) && held.expire(start + REPORT_GRACE).is_empty());
    assert!(!held.hold(attempt(1), start + REPORT_GRACE), "nor does it begin anew");
    assert!(held.hold(attempt(2), start + REPORT_GRACE), "another attempt may");
}

#[test]
fn a_report_ends_a_hold() {
    let (mut held, task) = (HeldTasks::default(), attempt(1).task);
    assert!(!held.end(&task));
    assert!(held.hold(attempt(1), Duration::ZERO));
    assert!(held.end(&task) && !held.end(&task));
    assert!(!held.covers(&task) && !held.hold(attempt(1), Duration::ZERO));
    held.forget(&task);
    assert!(held.by_task.is_empty());
}
