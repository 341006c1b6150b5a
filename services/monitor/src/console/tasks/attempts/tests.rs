//! Every attempt has a row: lost ones, those of others' traces, those without a trace.

use lepton_proto::convert::time::timestamp;
use lepton_proto::task::v1::TaskError;

use super::*;

const ID: &str = "0192d3e4-0000-7000-8000-000000000001";
const OTHER: &str = "0192d3e4-0000-7000-8000-000000000002";

fn s(seconds: u64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn task(state: State, attempts: u32) -> Task {
    Task {
        id: ID.to_owned(),
        state: state.into(),
        attempts,
        start_time: Some(timestamp(s(10))),
        end_time: (state == State::Succeeded).then(|| timestamp(s(20))),
        ..Task::default()
    }
}

/// A span of a second, that begins at `from`.
fn span(kind: SpanKind, from: u64, attributes: &[(&str, &str)]) -> Span {
    let pairs = attributes
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Span {
        kind: kind.into(),
        instance: "worker-2".to_owned(),
        start_time: Some(timestamp(s(from))),
        duration_us: 1_000_000,
        attributes: pairs.collect(),
        ..Span::default()
    }
}

fn waited(from: u64, number: &str) -> Span {
    span(SpanKind::Internal, from, &[(NUMBER, number), (WORKER, "worker-1")])
}

fn worked(from: u64, number: &str, id: &str) -> Span {
    span(SpanKind::Consumer, from, &[(NUMBER, number), (TASK, id)])
}

fn trace(spans: Vec<Span>) -> Trace {
    Trace {
        spans,
        ..Trace::default()
    }
}

fn words(task: &Task, trace: Option<&Trace>) -> Vec<(u32, Option<String>, AttemptOutcome)> {
    let row = |attempt: Attempt| (attempt.number, attempt.worker, attempt.outcome);
    collect(task, trace).into_iter().map(row).collect()
}

fn worker(number: u32) -> Option<String> {
    Some(format!("worker-{number}"))
}

#[test]
fn an_attempt_that_was_lost_with_its_worker_has_a_row() {
    let commit = span(SpanKind::Internal, 19, &[(NUMBER, "2")]);
    let trace = trace(vec![waited(9, "1"), waited(15, "2"), worked(16, "2", ID), commit]);
    let task = task(State::Succeeded, 2);
    assert_eq!(
        words(&task, Some(&trace)),
        [
            (1, worker(1), AttemptOutcome::Silent),
            (2, worker(2), AttemptOutcome::Ended)
        ]
    );
    let first = &collect(&task, Some(&trace))[0];
    assert_eq!((first.started, first.took), (Some(s(10)), None));
    let drawn = section(&task, &collect(&task, Some(&trace)), s(30)).0;
    assert_eq!(drawn.matches("<tr id=").count(), 2, "{drawn}");
    assert!(
        drawn.contains("<code>worker-1</code>") && drawn.contains("its worker was lost"),
        "{drawn}"
    );
}

#[test]
fn without_a_trace_the_record_speaks() {
    let done = task(State::Succeeded, 1);
    assert_eq!(words(&done, None), [(1, None, AttemptOutcome::Ended)]);
    let only = &collect(&done, None)[0];
    assert_eq!((only.started, only.took), (Some(s(10)), Some(Duration::from_secs(10))));
    let running = Task {
        worker: "worker-1".to_owned(),
        ..task(State::Running, 2)
    };
    assert_eq!(
        words(&running, None),
        [
            (1, None, AttemptOutcome::Unknown),
            (2, worker(1), AttemptOutcome::Running)
        ]
    );
    let error = TaskError {
        message: "disk full".to_owned(),
        ..TaskError::default()
    };
    let failed = Task {
        error: Some(error),
        ..task(State::Failed, 1)
    };
    assert_eq!(
        words(&failed, None),
        [(1, None, AttemptOutcome::Failed("disk full".to_owned()))]
    );
    assert_eq!(words(&task(State::Cancelled, 0), None), []);
    assert_eq!(collect(&task(State::Failed, 1_000), None).len(), SHOWN_MAX as usize);
}

#[test]
fn spans_of_other_tasks_in_the_same_trace_are_not_of_this_one() {
    let trace = trace(vec![
        waited(9, "1"),
        worked(10, "1", OTHER),
        worked(10, "1", ID),
        waited(9, "2"),
    ]);
    let task = task(State::Running, 2);
    assert_eq!(
        words(&task, Some(&trace)),
        [
            (1, worker(2), AttemptOutcome::Ended),
            (2, None, AttemptOutcome::Running)
        ],
        "the second wait could be of either"
    );
}
