//! Progress belongs to the running attempt.

use lepton_domain::ids::InstanceId;
use lepton_domain::task::{Attempt, State};
use lepton_domain::time::Timestamp;

use super::*;
use crate::leader::fixtures::task;

fn progress(attempt: u32, fraction: f64) -> Progress {
    Progress {
        attempt,
        fraction,
        ..Progress::default()
    }
}

fn running(number: u32) -> Task {
    let mut running = task(1, State::Running, 5).as_ref().clone();
    running.attempt = Some(Attempt {
        number,
        worker: InstanceId::new("worker-1"),
        started: Timestamp::default(),
    });
    running
}

#[test]
fn progress_goes_with_its_attempt() {
    let mut kept = AttemptProgress::default();
    let (first, second) = (running(1), running(2));
    kept.record(first.id, progress(1, 0.5));
    assert_eq!(kept.of(&first).map(|latest| latest.fraction), Some(0.5));
    assert_eq!(kept.of(&second), None, "another attempt has not reported anything");
    assert_eq!(kept.of(&task(1, State::Pending, 5)), None);
    kept.changed(&first.id, Some(&first));
    kept.record(first.id, progress(1, 0.75));
    assert_eq!(kept.of(&first).map(|latest| latest.fraction), Some(0.75));
    kept.changed(&first.id, Some(&second));
    assert!(kept.by_task.is_empty());
    kept.record(first.id, progress(2, 0.25));
    kept.changed(&first.id, None);
    assert!(kept.by_task.is_empty());
}
