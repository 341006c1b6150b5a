//! One step of maintenance at a time, each in its turn.

use super::*;

#[test]
fn a_write_is_taken_once_and_nothing_begins_until_it_has_finished() {
    let mut schedule = Schedule::new();
    assert!(matches!(schedule.next_write(), Some(WriteRequest::Sweep)));
    assert!(schedule.next_write().is_none() && !schedule.is_idle());
    schedule.enter(Stage::Archived(3..7));
    assert!(matches!(schedule.next_write(), Some(WriteRequest::Trim(segments)) if segments == (3..7)));
    schedule.enter(Stage::Written(SnapshotRef::default()));
    assert!(matches!(schedule.next_write(), Some(WriteRequest::Swap(_))));
    schedule.enter(Stage::Idle);
    assert!(schedule.is_idle() && schedule.next_write().is_none());
}

#[test]
fn each_write_lets_a_few_appends_go_first() {
    let mut schedule = Schedule::new();
    (1..APPENDS_MAX).for_each(|_| schedule.appended());
    assert!(!schedule.has_waited());
    schedule.appended();
    assert!(schedule.has_waited());
    assert!(schedule.next_write().is_some());
    assert!(!schedule.has_waited(), "the next step waits anew");
}

#[test]
fn a_leader_that_resigns_begins_no_write() {
    let mut schedule = Schedule::new();
    schedule.stop();
    assert!(schedule.next_write().is_none());
}
