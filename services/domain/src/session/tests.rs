//! Credits, silence, and what a new leader makes of the workers' words.

use super::*;
use crate::ids::{ContentDigest, Epoch, RequestId, TaskId, Tenant};
use crate::ledger::{Policy, Submission, apply, decide};
use crate::task::{Payload, Spec};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn attempt(task: u128, number: u32) -> AttemptId {
    AttemptId {
        task: TaskId::from_u128(task),
        number,
    }
}

fn run(ledger: &mut Ledger, command: Command) {
    for event in decide(ledger, &Policy::default(), command, ledger.now()).unwrap() {
        apply(ledger, &event).unwrap();
    }
}

/// Tasks 1 to 4 pending; 1 and 2 running as attempt 1 on `a`; 3 lost once; 4 ended.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new();
    ledger.begin(Epoch(1), at(0));
    run(
        &mut ledger,
        Command::OpenEpoch {
            leader: InstanceId::new("leader"),
        },
    );
    for task in 1..=5 {
        run(
            &mut ledger,
            Command::Submit(Box::new(Submission {
                id: TaskId::from_u128(task),
                tenant: Tenant::new("default"),
                request_id: RequestId::new(format!("r{task}")),
                content_digest: ContentDigest([0; 32]),
                spec: Spec::new(Kind::new("echo"), Payload::json("1")),
                traceparent: None,
                retry_of: None,
            })),
        );
    }
    let worker = InstanceId::new("a");
    for task in 1..=3 {
        run(
            &mut ledger,
            Command::Start {
                attempt: attempt(task, 1),
                worker: worker.clone(),
            },
        );
    }
    run(
        &mut ledger,
        Command::Lose {
            attempt: attempt(3, 1),
            worker,
            alone: false,
            checkpoint: None,
        },
    );
    run(
        &mut ledger,
        Command::Cancel {
            task: TaskId::from_u128(4),
            message: String::new(),
        },
    );
    ledger
}

#[test]
fn credits_are_slots_less_what_runs() {
    let mut session = Session::new(InstanceId::new("a"), 2, at(0));
    assert!(session.assign(attempt(1, 1)));
    assert!(!session.assign(attempt(1, 1)), "one attempt takes one slot");
    assert!(session.assign(attempt(2, 1)));
    assert_eq!((session.credits(), session.assign(attempt(3, 1))), (0, false));
    assert!(session.finish(&attempt(1, 1)) && !session.finish(&attempt(1, 1)));
    assert_eq!(session.credits(), 1);
    session.draining = true;
    assert_eq!((session.credits(), session.assign(attempt(3, 1))), (0, false));
    // A worker may come with more than its slots after a change of configuration.
    session.declare((1..=5).map(|task| attempt(task, 1)));
    assert_eq!((session.credits(), session.running.len()), (0, 5));
}

#[test]
fn silence_is_counted_from_the_last_word() {
    let mut session = Session::new(InstanceId::new("a"), 2, at(10));
    assert!(!session.is_silent(at(14), SILENCE_MAX));
    assert!(session.is_silent(at(15), SILENCE_MAX));
    session.heard(at(13));
    session.heard(at(12));
    assert!(!session.is_silent(at(17), SILENCE_MAX));
}

#[test]
fn declared_attempts_are_adopted_started_or_stopped() {
    let ledger = ledger();
    let declared: Vec<_> = [(1, 1), (2, 2), (3, 1), (3, 2), (4, 1), (5, 1), (9, 1)]
        .map(|(t, n)| attempt(t, n))
        .into();
    let worker = InstanceId::new("a");
    let start = |attempt| {
        Reconciled::Start(Command::Start {
            attempt,
            worker: worker.clone(),
        })
    };
    assert_eq!(
        reconcile(&ledger, &declared, &worker),
        [
            Reconciled::Adopt(attempt(1, 1)),
            Reconciled::Stop(attempt(2, 2)),
            Reconciled::Stop(attempt(3, 1)),
            start(attempt(3, 2)),
            Reconciled::Stop(attempt(4, 1)),
            start(attempt(5, 1)),
            Reconciled::Stop(attempt(9, 1)),
        ]
    );
    let other = reconcile(&ledger, &declared[..1], &InstanceId::new("b"));
    assert_eq!(other, [Reconciled::Stop(attempt(1, 1))], "it runs elsewhere");
}

#[test]
fn a_report_is_awaited_where_it_may_still_settle_a_task() {
    let ended: Vec<_> = [(1, 1), (3, 1), (3, 2), (4, 1), (5, 1), (9, 1)]
        .map(|(t, n)| attempt(t, n))
        .into();
    let awaited = awaited(&ledger(), &ended);
    assert_eq!(
        awaited,
        BTreeSet::from([attempt(3, 1)]),
        "given up, pending, and once started"
    );
}

#[test]
fn what_nobody_declares_is_lost_after_the_wait() {
    let ledger = ledger();
    let worker = InstanceId::new("a");
    let mut session = Session::new(worker.clone(), 4, at(100));
    session.declare([attempt(1, 1)]);
    let sessions = BTreeMap::from([(worker.clone(), session)]);
    let lose = |task| Command::Lose {
        attempt: attempt(task, 1),
        worker: worker.clone(),
        alone: false,
        checkpoint: None,
    };
    assert_eq!(overdue(&ledger, &sessions, at(101), Duration::from_secs(4)), []);
    assert_eq!(overdue(&ledger, &sessions, at(101), TAKEOVER_WAIT), [lose(2)]);
    assert_eq!(
        overdue(&ledger, &sessions, at(106), TAKEOVER_WAIT),
        [lose(1), lose(2)],
        "silent"
    );
    assert_eq!(
        overdue(&ledger, &BTreeMap::new(), at(101), TAKEOVER_WAIT),
        [lose(1), lose(2)]
    );
}
