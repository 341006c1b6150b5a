//! Progress of a watcher over snapshots.

use lepton_domain::ids::{Epoch, Seq};
use lepton_domain::task::Payload;

use super::super::view::tests::task;
use super::*;

fn at(seq: u64, fraction: Option<f64>) -> TaskSnapshot {
    let mut task = task(Payload::json("7"));
    task.version = Version {
        epoch: Epoch(9),
        seq: Seq(seq),
    };
    let progress = fraction.map(|fraction| Progress {
        attempt: 1,
        fraction,
        ..Progress::default()
    });
    TaskSnapshot {
        task,
        progress,
        pending_reason: String::new(),
    }
}

#[test]
fn a_later_state_and_other_progress_advance_a_watcher() {
    let mut cursor = WatchCursor::default();
    assert!(cursor.advance(&at(5, None)));
    assert!(!cursor.advance(&at(5, None)), "a repetition");
    assert!(cursor.advance(&at(5, Some(0.25))));
    assert!(!cursor.advance(&at(5, Some(0.25))), "a repetition");
    assert!(!cursor.advance(&at(5, None)), "a new leader has not heard of it yet");
    assert!(cursor.advance(&at(5, Some(0.5))));
    assert!(!cursor.advance(&at(4, Some(0.75))), "an older state");
    assert!(cursor.advance(&at(6, None)));
    assert!(!cursor.advance(&at(5, Some(0.75))), "an older state");
}

#[test]
fn progress_is_that_of_the_running_attempt() {
    let pending = at(5, Some(0.5));
    let read = TaskSnapshot::from_wire((&pending.task).into(), pending.progress, "waits for a slot".to_owned())
        .expect("readable");
    assert_eq!(read.progress, None, "nothing runs");
    assert_eq!(read.pending_reason, "waits for a slot");
}
