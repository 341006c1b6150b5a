//! Each promise, broken once by hand.

use std::time::Duration;

use bytes::Bytes;
use lepton_domain::ids::{AttemptId, ContentDigest, Epoch, InstanceId, Kind, RequestId, Seq, TaskId, Tenant};
use lepton_domain::ledger::{Event, Submission};
use lepton_domain::task::{Payload, Spec, State as Committed};
use lepton_domain::time::Timestamp;

use super::*;

/// A run in which one task was submitted, succeeded, and was seen throughout.
fn kept() -> Evidence {
    let submitted = Event::Submitted(Box::new(Submission {
        id: task(1),
        tenant: Tenant::new("default"),
        request_id: RequestId::new("a"),
        content_digest: ContentDigest([1; 32]),
        spec: Spec::new(Kind::new("echo"), Payload::json("1")),
        traceparent: None,
        retry_of: None,
    }));
    let mut verification = Verification::default();
    verification.tasks.insert(task(1), Committed::Succeeded);
    let digest = Bytes::from_static(b"digest");
    Evidence {
        operations: vec![
            operation((0, 1), submit("a"), shown(1, 1, State::Pending)),
            operation((2, 3), get(1), shown(1, 2, State::Running)),
            operation((4, 5), get(1), shown(1, 3, State::Succeeded)),
        ],
        entries: vec![entry(1, submitted), entry(2, started()), entry(3, succeeded())],
        verification,
        digest: Some(digest.clone()),
        replicas: vec![Replica {
            host: "scheduler-1".to_owned(),
            digest,
        }],
    }
}

fn task(number: u128) -> TaskId {
    TaskId::from_u128(number)
}

fn attempt() -> AttemptId {
    AttemptId {
        task: task(1),
        number: 1,
    }
}

fn started() -> Event {
    Event::Started {
        attempt: attempt(),
        worker: InstanceId::new("worker-1"),
    }
}

fn succeeded() -> Event {
    Event::Succeeded {
        attempt: attempt(),
        worker: InstanceId::new("worker-1"),
        output: Payload::json("1"),
    }
}

fn entry(seq: u64, event: Event) -> Entry {
    Entry {
        segment: seq,
        epoch: Epoch(1),
        seq: Seq(seq),
        time: Timestamp::default(),
        event,
    }
}

fn submit(request: &str) -> Action {
    Action::Submit(request.to_owned())
}

fn get(number: u128) -> Action {
    Action::Get(task(number).to_string())
}

fn shown(number: u128, seq: u64, state: State) -> Answer {
    Answer::Task(Observation {
        id: task(number).to_string(),
        version: (1, seq),
        state,
        attempts: 1,
        worker: "worker-1".to_owned(),
        request: "a".to_owned(),
        has_output: state == State::Succeeded,
    })
}

fn operation(seconds: (u64, u64), action: Action, answer: Answer) -> Operation {
    Operation {
        start: Duration::from_secs(seconds.0),
        end: Duration::from_secs(seconds.1),
        action,
        answer,
    }
}

/// Breaks a run that kept every promise, and expects a violation of this one.
#[track_caller]
fn broken(promise: &str, break_it: impl FnOnce(&mut Evidence)) {
    let mut evidence = kept();
    break_it(&mut evidence);
    let found = violations(&evidence);
    assert!(found.iter().any(|violation| violation.contains(promise)), "{found:?}");
}

#[test]
fn a_run_that_kept_its_promises_has_no_violation() {
    assert_eq!(violations(&kept()), Vec::<String>::new());
}

#[test]
fn an_acknowledged_task_that_is_gone_or_never_ends_is_lost() {
    broken("G1", |evidence| evidence.verification.tasks.clear());
    broken("G1", |evidence| {
        evidence.verification.tasks.insert(task(1), Committed::Running);
    });
}

#[test]
fn two_successes_or_two_ends_are_found() {
    broken("G3", |evidence| evidence.entries.push(entry(4, succeeded())));
    broken("G3", |evidence| {
        let other = shown(1, 3, State::Failed);
        evidence.operations.push(operation((6, 7), get(1), other));
    });
    broken("G3", |evidence| {
        evidence.verification.tasks.insert(task(1), Committed::Cancelled);
    });
}

#[test]
fn a_request_id_that_became_two_tasks_is_found() {
    broken("G4", |evidence| {
        let second = operation((6, 7), submit("a"), shown(2, 4, State::Pending));
        evidence.operations.push(second);
    });
    broken("G4", |evidence| {
        let action = Action::Conflict("a".to_owned());
        let taken = operation((6, 7), action, shown(1, 3, State::Succeeded));
        evidence.operations.push(taken);
    });
    broken("G4", |evidence| {
        evidence.operations.push(operation((6, 7), submit("a"), Answer::Reused));
    });
}

#[test]
fn a_read_that_goes_back_is_found_and_one_that_overlaps_is_not() {
    let stale = |start| operation((start, 7), get(1), shown(1, 2, State::Running));
    broken("G5", |evidence| evidence.operations.push(stale(6)));
    broken("G5", |evidence| {
        evidence.operations.push(operation((6, 7), get(1), Answer::NotFound));
    });
    let mut overlapping = kept();
    overlapping.operations.push(stale(5));
    assert_eq!(violations(&overlapping), Vec::<String>::new());
}

#[test]
fn what_was_shown_and_is_not_in_the_journal_is_found() {
    broken("G6", |evidence| drop(evidence.entries.remove(1)));
    broken("G6", |evidence| evidence.verification.breaches.push("a gap".to_owned()));
}

#[test]
fn a_replica_with_another_state_is_found() {
    broken("scheduler-1", |evidence| evidence.replicas[0].digest = Bytes::new());
}
