//! Calls are decided at once and answered when what they depend on has committed.

use std::time::Duration;

use lepton_domain::admission::Limits;
use lepton_domain::ids::Tenant;
use lepton_domain::ledger::{Effect, Event};
use lepton_domain::task::State;
use tokio::sync::oneshot;

use super::*;
use crate::leader::commit_pipeline::WriteRequest;
use crate::leader::fixtures::{Bench, at, attempt, ledger, refusal, start, state, submission, tenant, tuning, worker};
use crate::leader::release::Release;
use crate::message::{Call, TaskUpdates};

fn submit(number: u128) -> Command {
    Command::Submit(submission(number))
}

fn events(request: &WriteRequest) -> usize {
    match request {
        WriteRequest::Append(draft) => draft.events.len(),
        _ => 0,
    }
}

fn watch(bench: &mut Bench, number: u128, now: Now) -> oneshot::Receiver<Result<TaskUpdates, CallError>> {
    let (reply, opened) = oneshot::channel();
    let (tenant, task) = (tenant(), TaskId::from_u128(number));
    bench.decider.call(Call::Watch { tenant, task, reply }, now);
    opened
}

#[test]
fn a_submit_is_answered_when_it_has_committed() {
    let mut bench = Bench::after([]);
    let mut answer = bench.submit(1, at(0));
    assert_eq!(events(&bench.send(at(0))), 1);
    assert_eq!(state(&mut answer), None);
    let effects = bench.complete();
    assert_eq!(state(&mut answer), Some(State::Pending));
    assert!(matches!(effects[..], [Release::Effect(Effect::Enqueue(_))]));
}

#[test]
fn commands_gather_behind_the_write_in_flight() {
    let mut bench = Bench::after([]);
    let mut first = bench.submit(1, at(0));
    bench.send(at(0));
    let mut second = bench.submit(2, at(0));
    let mut third = bench.submit(3, at(0));
    bench.complete();
    assert!(state(&mut first).is_some());
    assert_eq!((state(&mut second), state(&mut third)), (None, None));
    assert_eq!(events(&bench.send(at(1))), 2);
    bench.complete();
    assert!(state(&mut second).is_some() && state(&mut third).is_some());
}

#[test]
fn a_read_waits_for_a_write_that_was_sent_after_it() {
    let mut bench = Bench::after([submit(1)]);
    bench.submit(2, at(0));
    bench.send(at(0));
    let mut read = bench.get(1, at(0));
    bench.complete();
    assert_eq!(state(&mut read), None, "that write was sent before it arrived");
    assert!(matches!(bench.send(at(1)), WriteRequest::Confirm));
    bench.complete();
    assert_eq!(state(&mut read), Some(State::Pending));
}

#[test]
fn a_read_of_what_has_not_committed_waits_for_that() {
    let mut bench = Bench::after([]);
    bench.submit(1, at(0));
    let mut read = bench.get(1, at(0));
    assert_eq!(events(&bench.send(at(0))), 1);
    assert_eq!(state(&mut read), None);
    bench.complete();
    assert_eq!(state(&mut read), Some(State::Pending));
}

#[test]
fn a_refusal_is_proved_like_an_answer() {
    let mut bench = Bench::after([]);
    let mut read = bench.get(9, at(0));
    assert_eq!(refusal(&mut read), None);
    assert!(matches!(bench.send(at(0)), WriteRequest::Confirm));
    bench.complete();
    let absent = CallError::Rejected(Rejection::TaskNotFound(TaskId::from_u128(9)));
    assert_eq!(refusal(&mut read), Some(absent));
}

#[test]
fn another_tenants_task_is_absent() {
    let mut bench = Bench::after([submit(1)]);
    let task = TaskId::from_u128(1);
    let get = |responder| Call::Get {
        tenant: Tenant::new("other"),
        task,
        responder,
    };
    let mut read = bench.call(get, at(0));
    let cancel = |responder| Call::Cancel {
        tenant: Tenant::new("other"),
        task,
        message: String::new(),
        responder,
    };
    let mut cancel = bench.call(cancel, at(0));
    bench.commit(at(0));
    let absent = Some(CallError::Rejected(Rejection::TaskNotFound(task)));
    assert_eq!((refusal(&mut read), refusal(&mut cancel)), (absent.clone(), absent));
    assert_eq!(bench.decider.ledger().pending().count(), 1);
}

#[test]
fn a_repeated_submit_is_answered_with_the_earlier_task() {
    let mut bench = Bench::after([submit(1)]);
    let mut again = submission(1);
    again.id = TaskId::from_u128(2);
    let repeat = |responder| Call::Submit {
        submission: again,
        responder,
    };
    let mut answer = bench.call(repeat, at(0));
    assert!(
        matches!(bench.send(at(0)), WriteRequest::Confirm),
        "nothing is recorded"
    );
    bench.complete();
    let task = answer.try_recv().expect("it is answered").expect("it is known").task;
    assert_eq!(task.id, TaskId::from_u128(1));
}

#[test]
fn a_quota_counts_what_has_not_committed() {
    let (pipeline, _requests) = CommitPipeline::detached(&tuning());
    let policy = Policy {
        limits: Limits {
            pending_tasks_per_tenant: 1,
            ..Limits::default()
        },
        ..Policy::default()
    };
    let mut decider = Decider::new(ledger([]), policy, pipeline);
    assert!(decider.submit(submission(1), at(0)).is_ok());
    let refused = decider.submit(submission(2), at(0));
    assert!(matches!(refused, Err(CallError::Rejected(Rejection::QuotaExceeded(_)))));
    assert!(decider.submit(submission(1), at(0)).is_ok(), "its task exists");
}

#[test]
fn while_etcd_does_not_answer_callers_are_refused_and_the_append_goes_on() {
    let mut bench = Bench::after([]);
    let mut sent = bench.submit(1, at(0));
    bench.send(at(0));
    let mut gathered = bench.submit(2, at(500));
    let mut read = bench.get(1, at(500));
    bench.decider.refuse_stalled(at(999));
    assert_eq!(refusal(&mut sent), None);
    bench.decider.refuse_stalled(at(1_000));
    let away = Some(CallError::JournalUnavailable);
    for answer in [&mut sent, &mut gathered, &mut read] {
        assert_eq!(refusal(answer), away);
    }
    let mut late = bench.submit(3, at(1_000));
    assert_eq!(refusal(&mut late), away, "at once");
    // The outcome was unknown to its caller; the effects know better.
    assert_eq!(bench.complete().len(), 1);
    assert_eq!(
        events(&bench.send(at(1_001))),
        1,
        "what was gathered is written all the same"
    );
    assert_eq!(bench.complete().len(), 1);
    assert_eq!(bench.decider.ledger().pending().count(), 2);
}

#[test]
fn what_a_fenced_write_carried_is_never_answered() {
    let mut bench = Bench::after([]);
    let mut answer = bench.submit(1, at(0));
    bench.send(at(0));
    drop(bench);
    assert_eq!(answer.try_recv().err(), Some(oneshot::error::TryRecvError::Closed));
}

#[test]
fn a_full_batch_stops_decisions_until_it_is_sent() {
    let mut bench = Bench::after([]);
    bench.submit(1, at(0));
    bench.send(at(0));
    for number in 2.. {
        if !bench.decider.may_decide(at(0)) {
            break;
        }
        bench.submit(number, at(0));
    }
    assert!(!bench.decider.accepts(at(0)) && !bench.decider.may_decide(at(0)));
    assert!(
        bench.decider.accepts(at(1_000)),
        "stalled: messages are taken to be refused"
    );
    assert!(!bench.decider.may_decide(at(1_000)));
    bench.complete();
    assert!(
        bench.decider.write_is_due(at(0)),
        "a full batch does not wait for the pace"
    );
    bench.send(at(0));
    assert!(bench.decider.accepts(at(0)) && bench.decider.may_decide(at(0)));
}

#[test]
fn a_watch_begins_with_the_state_at_its_request() {
    let mut bench = Bench::after([submit(1)]);
    bench.execute(start(attempt(1, 1), &worker("a")), at(0));
    let mut opened = watch(&mut bench, 1, at(0));
    bench.commit(at(0));
    let mut updates = opened.try_recv().expect("it is open").expect("it is known");
    assert_eq!(updates.borrow_and_update().task.state, State::Running);
    let cancel = Command::Cancel {
        task: TaskId::from_u128(1),
        message: String::new(),
    };
    bench.execute(cancel, at(1));
    bench.send(at(1));
    assert!(!updates.has_changed().expect("it is served"), "it has not committed");
    bench.complete();
    assert_eq!(updates.borrow_and_update().task.state, State::Cancelled);
}

#[test]
fn a_change_behind_the_request_of_a_watch_follows_it() {
    let mut bench = Bench::after([submit(1)]);
    let mut opened = watch(&mut bench, 1, at(0));
    bench.execute(start(attempt(1, 1), &worker("a")), at(0));
    bench.commit(at(0));
    let mut updates = opened.try_recv().expect("it is open").expect("it is known");
    assert_eq!(updates.borrow_and_update().task.state, State::Running);
}

#[test]
fn a_tick_decides_what_is_due() {
    let mut bench = Bench::after([]);
    let mut late = submission(1);
    late.spec.deadline = Some(at(0).journal.plus(Duration::from_millis(50)));
    bench.execute(Command::Submit(late), at(0));
    bench.commit(at(0));
    bench.decider.tick(None, at(49));
    assert!(!bench.decider.wants_write());
    bench.decider.tick(None, at(50));
    bench.commit(at(50));
    let ended = bench
        .decider
        .ledger()
        .task(&TaskId::from_u128(1))
        .expect("it is kept")
        .state;
    assert_eq!(ended, State::Expired);
}

#[test]
fn journal_time_does_not_go_back() {
    let mut bench = Bench::after([]);
    bench.execute(submit(1), at(500));
    bench.execute(submit(2), at(900));
    let WriteRequest::Append(first) = bench.send(at(900)) else {
        panic!("there are events");
    };
    assert_eq!(first.time, at(500).journal, "one batch, one time");
    bench.complete();
    bench.execute(submit(3), at(100));
    let WriteRequest::Append(second) = bench.send(at(901)) else {
        panic!("there are events");
    };
    assert_eq!(second.time, at(500).journal);
}

#[test]
fn a_newer_format_is_activated_once_every_scheduler_supports_it() {
    let mut bench = Bench::after([]);
    bench.decider.tick(None, at(0));
    bench.decider.tick(Some(1), at(1));
    assert_eq!(bench.decider.ledger().format(), 1);
    bench.decider.tick(Some(FORMAT_MAX + 1), at(2));
    assert_eq!(
        bench.decider.ledger().format(),
        FORMAT_MAX,
        "never beyond what this version knows"
    );
    let WriteRequest::Append(draft) = bench.send(at(10)) else {
        panic!("an append is due");
    };
    assert_eq!(
        draft.format, 1,
        "the segment that activates a format has the former one"
    );
    assert_eq!(draft.events, [Event::FormatActivated { format: FORMAT_MAX }]);
    bench.complete();
    bench.decider.tick(Some(FORMAT_MAX), at(20));
    assert!(!bench.decider.wants_write(), "it is activated once");
}
