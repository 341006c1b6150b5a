//! Whom a worker follows, what it says, and how long it waits.

use std::time::Duration;

use lepton_core::random::Random;
use lepton_domain::ids::{AttemptId, TaskId};
use lepton_domain::task::Payload;
use lepton_proto::journal::v1::Mark;
use lepton_proto::worker::v1::open_session_request::Message as Out;

use super::message::{Heard, hello, read, report};
use super::*;
use crate::attempt::Outcome;
use crate::kind::Failure;
use crate::slots::Held;

fn welcome(incarnation: &str, epoch: u64, segment: u64) -> wire::Welcome {
    let mark = Mark {
        incarnation: incarnation.to_owned(),
        segment,
        ..Mark::default()
    };
    wire::Welcome {
        epoch,
        mark: Some(mark),
    }
}

#[test]
fn a_lower_epoch_of_the_same_incarnation_is_refused() {
    let mut standing = Standing::default();
    standing.welcome(&welcome("a", 7, 3)).unwrap();
    standing.welcome(&welcome("a", 7, 4)).unwrap();
    assert_eq!(
        standing.welcome(&welcome("a", 6, 9)),
        Err(Stale { offered: 6, known: 7 })
    );
    assert_eq!(standing.mark().segment, 4, "a refused leader teaches nothing");
    standing.welcome(&welcome("a", 9, 5)).unwrap();
    standing.welcome(&welcome("b", 2, 1)).unwrap();
    assert_eq!(
        (standing.mark().incarnation.as_str(), standing.mark().segment),
        ("b", 1)
    );
}

#[test]
fn marks_only_rise() {
    let mut standing = Standing::default();
    let mark = |segment| welcome("a", 1, segment).mark.unwrap();
    for segment in [3, 5, 4] {
        standing.seen(&mark(segment));
    }
    standing.seen(&Mark::default());
    assert_eq!(standing.mark(), &mark(5));
}

#[test]
fn a_first_hello_carries_no_mark() {
    let identity = Identity {
        instance: InstanceId::new("worker-1"),
        slots: 4,
        kinds: vec!["echo".to_owned()],
        labels: [("zone".to_owned(), "a".to_owned())].into(),
    };
    let said = |mark: &Mark| match hello(&identity, Held::default(), mark).message {
        Some(Out::Hello(hello)) => hello,
        other => panic!("{other:?}"),
    };
    assert_eq!(said(&Mark::default()).mark, None);
    let mark = Mark {
        incarnation: "a".to_owned(),
        ..Mark::default()
    };
    assert_eq!(
        (said(&mark).mark, said(&mark).worker.as_str()),
        (Some(mark), "worker-1")
    );
}

#[test]
fn reports_carry_the_outcome_and_messages_are_checked() {
    let attempt = AttemptId {
        task: TaskId::from_u128(7),
        number: 2,
    };
    let said = |outcome| match report(attempt, outcome).message {
        Some(Out::Report(report)) => report,
        other => panic!("{other:?}"),
    };
    let output = said(Outcome::Output(Payload::json("7")));
    assert!(matches!(output.outcome, Some(wire::report::Outcome::Output(_))) && !output.retryable);
    let failure = Failure::passing(lepton_domain::reason::Reason::HandlerFailed, "broken");
    assert!(said(Outcome::Failure(failure)).retryable);

    let stop = In::Stop(wire::Stop {
        attempt: Some(attempt.into()),
    });
    assert!(matches!(read(stop), Ok(Heard::Stop(it)) if it == attempt));
    assert!(read(In::Stop(wire::Stop { attempt: None })).is_err());
    assert!(read(In::Assign(wire::Assign::default())).is_err());
}

#[test]
fn pauses_grow_to_a_limit_and_start_over() {
    let mut backoff = Backoff::new(Random::seeded(1));
    let pauses: Vec<Duration> = (0..20).map(|_| backoff.pause()).collect();
    assert!(pauses[0] <= Duration::from_millis(50) && pauses[0] >= Duration::from_millis(25));
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(2)));
    assert!(pauses[19] >= Duration::from_secs(1));
    backoff.reset();
    assert!(backoff.pause() <= Duration::from_millis(50));
}
