//! What is news to a watcher.

use lepton_domain::ids::{Epoch, Seq};
use lepton_domain::task::Payload;

use super::super::view::tests::task;
use super::*;

fn at(seq: u64, fraction: Option<f64>) -> Current {
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
    Current { task, progress }
}

#[test]
fn a_later_state_and_other_progress_are_news() {
    let mut seen = Seen::default();
    assert!(seen.is_news(&at(5, None)));
    assert!(!seen.is_news(&at(5, None)), "a repetition");
    assert!(seen.is_news(&at(5, Some(0.25))));
    assert!(!seen.is_news(&at(5, Some(0.25))), "a repetition");
    assert!(!seen.is_news(&at(5, None)), "a new leader has not heard of it yet");
    assert!(seen.is_news(&at(5, Some(0.5))));
    assert!(!seen.is_news(&at(4, Some(0.75))), "an older state");
    assert!(seen.is_news(&at(6, None)));
    assert!(!seen.is_news(&at(5, Some(0.75))), "an older state");
}

#[test]
fn progress_is_that_of_the_running_attempt() {
    let pending = at(5, Some(0.5));
    let read = Current::read((&pending.task).into(), pending.progress).expect("readable");
    assert_eq!(read.progress, None, "nothing runs");
}
