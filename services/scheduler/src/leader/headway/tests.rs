//! Progress belongs to the running attempt and is bounded.

use lepton_domain::ids::InstanceId;
use lepton_domain::task::{Attempt, State};
use lepton_domain::time::Timestamp;

use super::*;
use crate::leader::watchers::tests::task;

fn said(attempt: u32, fraction: f64) -> Progress {
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
    let mut headway = Headway::default();
    let (first, second) = (running(1), running(2));
    headway.note(first.id, said(1, 0.5));
    assert_eq!(headway.of(&first).map(|latest| latest.fraction), Some(0.5));
    assert_eq!(headway.of(&second), None, "another attempt has not said anything");
    assert_eq!(headway.of(&task(1, State::Pending, 5)), None);
    headway.changed(&first.id, Some(&first));
    headway.note(first.id, said(1, 0.75));
    assert_eq!(headway.of(&first).map(|latest| latest.fraction), Some(0.75));
    headway.changed(&first.id, Some(&second));
    assert!(headway.by_task.is_empty());
    headway.note(first.id, said(2, 0.25));
    headway.changed(&first.id, None);
    assert!(headway.by_task.is_empty());
}

#[test]
fn what_a_worker_says_is_bounded() {
    assert_eq!(bounded(said(1, f64::NAN)), None);
    assert_eq!(bounded(said(1, 7.0)).map(|kept| kept.fraction), Some(1.0));
    let mut long = said(1, 0.5);
    let names = (0..FIGURES_MAX + 8).map(|number| format!("figure-{number:02}"));
    long.figures = names.map(|name| (name, 1.0)).collect();
    long.figures.insert("a".repeat(NAME_BYTES_MAX + 1), 1.0);
    long.figures.insert("gap".to_owned(), f64::INFINITY);
    let kept = bounded(long).expect("the fraction is fine").figures;
    assert_eq!(kept.len(), FIGURES_MAX);
    assert!(
        kept.iter()
            .all(|(name, value)| name.starts_with("figure-") && *value == 1.0)
    );
}
