//! Messages of the leader are checked; messages of a worker carry exactly what they are made from.

use lepton_domain::ids::TaskId;
use lepton_domain::reason::Reason;

use super::super::Problem;
use super::*;

fn attempt() -> AttemptId {
    AttemptId {
        task: TaskId::from_u128(7),
        number: 2,
    }
}

#[test]
fn messages_of_the_leader_are_checked() {
    let stop = Response::Stop(wire::Stop {
        attempt: Some(attempt().into()),
    });
    assert!(matches!(LeaderMessage::try_from(stop), Ok(LeaderMessage::Stop(it)) if it == attempt()));
    let absent = |message: Response| LeaderMessage::try_from(message).expect_err("a field is absent");
    for message in [
        Response::Stop(wire::Stop { attempt: None }),
        Response::Settled(wire::Settled::default()),
        Response::Assign(wire::Assign::default()),
    ] {
        assert_eq!(absent(message), ConvertError::new("attempt", Problem::Absent));
    }
    let no_input = Response::Assign(wire::Assign {
        attempt: Some(attempt().into()),
        ..Default::default()
    });
    assert_eq!(absent(no_input), ConvertError::new("input", Problem::Absent));
}

#[test]
fn durations_of_zero_are_absent() {
    let assign = |timeout_us, deadline_in_us| {
        let assign = wire::Assign {
            attempt: Some(attempt().into()),
            input: Some((&Payload::json("7")).into()),
            timeout_us,
            deadline_in_us,
            ..Default::default()
        };
        let assignment = Assignment::try_from(assign).expect("complete");
        (assignment.timeout, assignment.deadline_in)
    };
    assert_eq!(assign(0, 0), (None, None));
    let micros = |micros| Some(Duration::from_micros(micros));
    assert_eq!(assign(1, 2_000_000), (micros(1), micros(2_000_000)));
}

#[test]
fn reports_carry_the_outcome() {
    let made = |result, retryable| match report(attempt(), result, retryable).message {
        Some(Request::Report(report)) => report,
        other => panic!("{other:?}"),
    };
    let payload = Payload::json("7");
    let output = made(Some(Ok(&payload)), false);
    assert!(matches!(output.outcome, Some(wire::report::Outcome::Output(_))) && !output.retryable);
    let error = TaskError::new(Reason::HandlerFailed, "broken");
    let failure = made(Some(Err(&error)), true);
    assert!(matches!(failure.outcome, Some(wire::report::Outcome::Failure(_))) && failure.retryable);
    assert_eq!(made(None, false).outcome, None);
}

#[test]
fn a_first_hello_carries_no_mark() {
    let sent = |mark: &Mark| {
        let worker = wire::Hello {
            worker: "worker-1".to_owned(),
            ..Default::default()
        };
        match hello(worker, HeldAttempts::default(), mark).message {
            Some(Request::Hello(hello)) => hello,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(sent(&Mark::default()).mark, None);
    let mark = Mark {
        incarnation: "a".to_owned(),
        ..Mark::default()
    };
    assert_eq!(
        (sent(&mark).mark, sent(&mark).worker.as_str()),
        (Some(mark), "worker-1")
    );
}
