//! What those who read a pending task are shown, in every situation.

use lepton_domain::ids::{InstanceId, Kind, TaskId};
use lepton_domain::ledger::Command;
use lepton_domain::reason::Reason;
use lepton_domain::task::TaskError;

use super::*;
use crate::leader::fixtures::{at, attempt, start, submission, tenant, worker};
use crate::leader::sessions::tests::{Stage, hello};
use crate::message::SessionEvent;

/// Task 1, committed and in the queue, which needs these labels.
fn waiting(requirements: &[(&str, &str)]) -> Stage {
    let mut submission = submission(1);
    let pairs = requirements
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    submission.spec.requirements = pairs.collect();
    let mut stage = Stage::after([Command::Submit(submission)]);
    enqueue(&mut stage);
    stage
}

fn enqueue(stage: &mut Stage) {
    let ledger = stage.bench.decider.ledger();
    stage.ready.enqueue_if_startable(ledger, &TaskId::from_u128(1), at(0));
}

fn reason_at(stage: &Stage, millis: u64) -> String {
    let reasons = PendingReasons {
        sessions: &stage.sessions,
        ready: &stage.ready,
        now: at(millis),
    };
    let ledger = stage.bench.decider.ledger();
    reasons.of(ledger, ledger.task(&TaskId::from_u128(1)).expect("it is kept"))
}

fn reason(stage: &Stage) -> String {
    reason_at(stage, 0)
}

#[test]
fn what_no_worker_could_run_says_what_is_missing() {
    let mut stage = waiting(&[("gpu", "yes")]);
    assert_eq!(reason(&stage), "no worker is connected");
    let other = crate::message::SessionHello {
        kinds: [Kind::new("train")].into(),
        ..hello("b", &[])
    };
    let (_releases, _other) = stage.join(1, other, 0);
    assert_eq!(reason(&stage), r#"no worker runs the kind "echo""#);
    let (_releases, _plain) = stage.join(2, hello("c", &[]), 0);
    assert_eq!(reason(&stage), "no worker carries the labels gpu=yes");
    let mut able = hello("a", &[]);
    able.labels.insert("gpu".to_owned(), "yes".to_owned());
    let (_releases, _able) = stage.join(3, able, 0);
    assert_eq!(reason(&stage), "waits for a slot");
    stage.handle(3, SessionEvent::Draining, 0);
    assert_eq!(
        reason(&stage),
        "no worker carries the labels gpu=yes",
        "one that drains takes nothing"
    );
}

#[test]
fn a_pause_a_delay_and_a_backoff_come_first() {
    let mut stage = Stage::after([]);
    let mut delayed = submission(1);
    delayed.spec.not_before = Some(at(5_000).journal);
    stage.bench.execute(Command::Submit(delayed), at(0));
    enqueue(&mut stage);
    assert_eq!(reason(&stage), "not before 1970-01-01T00:16:45Z");
    assert_eq!(reason_at(&stage, 5_000), "no worker is connected");
    stage.bench.execute(Command::ActivateFormat { format: 2 }, at(0));
    let pause = Command::SetPaused {
        tenant: tenant(),
        kind: Kind::new("echo"),
        paused: true,
    };
    stage.bench.execute(pause, at(0));
    assert_eq!(reason(&stage), "its kind is paused");
}

#[test]
fn a_suspect_waits_to_run_alone_and_one_whose_report_is_due_for_that() {
    let mut stage = Stage::after([]);
    stage.bench.execute(Command::ActivateFormat { format: 2 }, at(0));
    stage.bench.execute(Command::Submit(submission(1)), at(0));
    stage.bench.execute(start(attempt(1, 1), &worker("gone")), at(0));
    let lost = Command::Lose {
        attempt: attempt(1, 1),
        worker: InstanceId::new("gone"),
        alone: false,
        checkpoint: None,
    };
    stage.bench.execute(lost, at(0));
    let (_releases, _commands) = stage.join(1, hello("a", &[]), 0);
    enqueue(&mut stage);
    assert_eq!(reason_at(&stage, 60_000), "waits to run alone");
    stage.ready.hold(attempt(1, 1), at(60_000));
    assert_eq!(reason_at(&stage, 60_000), "waits for the report of its last attempt");
}

#[test]
fn only_pending_tasks_have_a_reason() {
    let mut stage = waiting(&[]);
    stage.bench.execute(start(attempt(1, 1), &worker("a")), at(0));
    assert_eq!(reason(&stage), "");
    let fail = Command::Fail {
        attempt: attempt(1, 1),
        worker: worker("a"),
        error: TaskError::new(Reason::Internal, "m"),
        retryable: false,
        checkpoint: None,
    };
    stage.bench.execute(fail, at(0));
    assert_eq!(reason(&stage), "");
}

#[test]
fn the_answer_to_a_read_carries_it() {
    let mut stage = waiting(&[]);
    let mut answer = stage.bench.get(1, at(0));
    stage.bench.commit(at(0));
    let view = answer.try_recv().expect("it is answered").expect("it is there");
    assert_eq!(view.pending_reason, "no worker is connected");
}
