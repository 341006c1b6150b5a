//! Position and load as peers read them.

use super::*;

#[test]
fn the_latest_digests_are_kept() {
    let mut status = SchedulerStatus::new();
    assert!(status.digest().is_empty());
    let last = RECENT_MAX as u64 + 3;
    for segment in 1..=last {
        let mark = Mark {
            segment,
            seq: segment,
            ..Mark::default()
        };
        status.committed(mark, Epoch(2), &StateDigest([segment, 0, 0, 0]));
    }
    assert_eq!(status.recent.len(), RECENT_MAX);
    assert_eq!(status.recent[0].segment, 4);
    let response = status.response(&InstanceId::new("scheduler-1"));
    assert_eq!((response.leader, response.epoch), (false, 2));
    assert_eq!(response.mark.map(|mark| mark.segment), Some(last));
    assert_eq!(response.state_digest, state_digest_bytes(&StateDigest([last, 0, 0, 0])));
}

#[test]
fn a_leader_that_resigns_keeps_its_count_of_ended_attempts() {
    let mut status = SchedulerStatus::new();
    status.role = Role::Leader;
    assert!(!status.record_load(3, 2, 5));
    assert!(!status.record_load(4, 1, 1));
    assert_eq!((status.queued, status.running, status.finished_total), (4, 1, 6));
    status.resign();
    assert_eq!(
        (status.role, status.queued, status.running, status.finished_total),
        (Role::Standby, 0, 0, 6)
    );
}
