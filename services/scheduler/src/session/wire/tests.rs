//! What a worker sends is read within bounds.

use std::collections::BTreeMap;

use lepton_domain::ids::TaskId;
use lepton_domain::task::State;

use super::*;
use crate::leader::fixtures;

fn hello() -> proto::Hello {
    proto::Hello {
        worker: "worker-1".to_owned(),
        slots: 4,
        kinds: vec!["echo".to_owned()],
        labels: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
        ..proto::Hello::default()
    }
}

fn attempt(number: u32) -> AttemptId {
    AttemptId {
        task: TaskId::from_u128(7),
        number,
    }
}

fn progress(attempt: u32, fraction: f64) -> Progress {
    Progress {
        attempt,
        fraction,
        ..Progress::default()
    }
}

/// The field that a refused `hello` names.
fn refused(hello: proto::Hello) -> &'static str {
    match read_hello(hello) {
        Err(CallError::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hello_is_read_with_what_it_declares() {
    let declared = proto::Hello {
        running: vec![attempt(1).into(), attempt(2).into()],
        ended: vec![attempt(2).into()],
        ..hello()
    };
    let (read, mark) = read_hello(declared).expect("it keeps every rule");
    assert_eq!((read.worker, read.slots), (InstanceId::new("worker-1"), 4));
    assert_eq!(read.running, [attempt(1), attempt(2)]);
    assert_eq!(read.ended, [attempt(2)]);
    assert_eq!(mark, None);
}

#[test]
fn a_hello_has_bounds() {
    let slots = |slots| proto::Hello { slots, ..hello() };
    assert_eq!((refused(slots(0)), refused(slots(SLOTS_MAX + 1))), ("slots", "slots"));
    assert!(read_hello(slots(SLOTS_MAX)).is_ok());
    let worker = |worker: String| proto::Hello { worker, ..hello() };
    assert_eq!(refused(worker(String::new())), "worker");
    assert_eq!(refused(worker("w".repeat(NAME_BYTES_MAX + 1))), "worker");
    let kinds = |kinds| proto::Hello { kinds, ..hello() };
    assert_eq!(refused(kinds(vec!["k".to_owned(); NAMES_MAX + 1])), "kinds");
    assert_eq!(refused(kinds(vec!["k".repeat(NAME_BYTES_MAX + 1)])), "kinds");
    let long = BTreeMap::from([("zone".to_owned(), "z".repeat(NAME_BYTES_MAX + 1))]);
    assert_eq!(
        refused(proto::Hello {
            labels: long,
            ..hello()
        }),
        "labels"
    );
}

#[test]
fn a_second_hello_ends_the_session() {
    assert!(matches!(read_event(In::Hello(hello())), Err(CallError::HelloRepeated)));
}

#[test]
fn progress_of_another_attempt_counts_as_a_heartbeat() {
    let report = |number| {
        In::Progress(proto::AttemptProgress {
            attempt: Some(attempt(1).into()),
            progress: Some(progress(number, 0.5)),
            checkpoint: None,
        })
    };
    assert!(matches!(read_event(report(1)), Ok(SessionEvent::Progress { .. })));
    assert!(matches!(read_event(report(2)), Ok(SessionEvent::Heartbeat)));
}

#[test]
fn progress_is_bounded() {
    assert_eq!(bounded(progress(1, f64::NAN)), None);
    assert_eq!(bounded(progress(1, 7.0)).map(|kept| kept.fraction), Some(1.0));
    let mut long = progress(1, 0.5);
    let names = (0..FIGURES_MAX + 8).map(|number| format!("figure-{number:02}"));
    long.figures = names.map(|name| (name, 1.0)).collect();
    long.figures.insert("a".repeat(FIGURE_NAME_BYTES_MAX + 1), 1.0);
    long.figures.insert("gap".to_owned(), f64::INFINITY);
    let kept = bounded(long).expect("the fraction is fine").figures;
    assert_eq!(kept.len(), FIGURES_MAX);
    let whole = |(name, value): (&String, &f64)| name.starts_with("figure-") && *value == 1.0;
    assert!(kept.iter().all(whole));
}

#[test]
fn a_report_without_an_outcome_is_refused() {
    let report = proto::Report {
        attempt: Some(attempt(1).into()),
        ..proto::Report::default()
    };
    assert_eq!(
        read_event(In::Report(report)).err(),
        Some(CallError::missing("outcome")),
    );
}

#[test]
fn a_deadline_that_is_due_does_not_read_as_none() {
    let task = fixtures::task(7, State::Running, 5);
    assert_eq!(assign(&task, attempt(1), None).deadline_in_us, 0);
    assert_eq!(assign(&task, attempt(1), Some(Duration::ZERO)).deadline_in_us, 1);
    assert_eq!(
        assign(&task, attempt(1), Some(Duration::from_secs(1))).deadline_in_us,
        1_000_000
    );
}
