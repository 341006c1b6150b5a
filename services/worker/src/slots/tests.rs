//! Attempts are run once, reported until settled, and never heard of after a stop.

use std::sync::Arc;
use std::time::Duration;

use lepton_domain::ids::{TaskId, Tenant};
use lepton_domain::task::Payload;
use lepton_mesh::blob::Blobs;
use lepton_mesh::clock::Clock;
use lepton_mesh::telemetry::metrics::Metrics;
use lepton_proto::worker::v1::Report;
use lepton_proto::worker::v1::open_session_request::Message;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::*;
use crate::compute::Compute;
use crate::kind::Kinds;
use crate::stats::Stats;

fn id(number: u32) -> AttemptId {
    AttemptId {
        task: TaskId::from_u128(7),
        number,
    }
}

fn echo(number: u32, input: &str) -> Assignment {
    Assignment {
        attempt: id(number),
        kind: "echo".to_owned(),
        input: Payload::json(input.to_owned()),
        timeout: None,
        deadline_in: None,
        traceparent: String::new(),
        tenant: Tenant::new("default"),
    }
}

/// Slots that run, and their blobs for as long.
async fn slots() -> (SlotsHandle, JoinSet<()>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let runner = Runner {
        kinds: Kinds::built_in(&Compute::new(1)),
        blobs: Blobs::open(directory.path().to_str().unwrap(), "b7e7").await.unwrap(),
        slots: Arc::new(Semaphore::new(2)),
        timeout: Duration::from_secs(60),
        stats: Stats::new(2, &Metrics::new()),
        clock: Clock::system(),
    };
    let (slots, handle) = Slots::new(runner, 2);
    let mut tasks = JoinSet::new();
    tasks.spawn(slots.run());
    (handle, tasks, directory)
}

/// A session's end of the line.
fn line(capacity: usize) -> (Line, mpsc::Receiver<OpenSessionRequest>) {
    let (sender, receiver) = mpsc::channel(capacity);
    (
        Line {
            sender,
            broken: CancellationToken::new(),
        },
        receiver,
    )
}

async fn next_report(line: &mut mpsc::Receiver<OpenSessionRequest>) -> Report {
    let message = timeout(Duration::from_secs(10), line.recv()).await.unwrap().unwrap();
    match message.message {
        Some(Message::Report(report)) => report,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_report_is_said_again_to_every_leader_until_one_has_taken_it() {
    let (slots, _tasks, _directory) = slots().await;
    slots.assign(echo(1, "7")).await.unwrap();
    for _ in 0..2 {
        let (line, mut leader) = line(8);
        slots.connect(line).await.unwrap();
        assert_eq!(next_report(&mut leader).await.attempt, Some(id(1).into()));
        assert_eq!(slots.declare().await.unwrap(), [id(1).into()]);
    }
    slots.settled(id(1)).await.unwrap();
    timeout(Duration::from_secs(10), slots.idle()).await.unwrap();
    let (line, mut leader) = line(8);
    slots.connect(line).await.unwrap();
    slots.assign(echo(2, "8")).await.unwrap();
    assert_eq!(
        next_report(&mut leader).await.attempt,
        Some(id(2).into()),
        "nothing of the settled one"
    );
}

#[tokio::test]
async fn a_stopped_attempt_is_not_heard_of_again() {
    let (slots, _tasks, _directory) = slots().await;
    let (line, mut leader) = line(8);
    slots.connect(line).await.unwrap();
    slots.assign(echo(1, r#"{"delay_ms":86400000}"#)).await.unwrap();
    assert_eq!(slots.declare().await.unwrap().len(), 1);
    slots.stop(id(1)).await.unwrap();
    timeout(Duration::from_secs(10), slots.idle()).await.unwrap();
    slots.assign(echo(2, "8")).await.unwrap();
    assert_eq!(next_report(&mut leader).await.attempt, Some(id(2).into()));
}

#[tokio::test]
async fn a_line_that_takes_no_more_is_broken_and_nothing_is_lost() {
    let (slots, _tasks, _directory) = slots().await;
    let (full, _not_read) = line(1);
    slots.connect(full.clone()).await.unwrap();
    for number in 1..=2 {
        slots.assign(echo(number, "7")).await.unwrap();
    }
    timeout(Duration::from_secs(10), full.broken.cancelled()).await.unwrap();
    let (line, mut leader) = line(8);
    slots.connect(line).await.unwrap();
    let mut reported =
        [next_report(&mut leader).await, next_report(&mut leader).await].map(|it| it.attempt.unwrap().number);
    reported.sort_unstable();
    assert_eq!(reported, [1, 2]);
}

#[test]
fn the_desk_keeps_what_is_not_settled_and_runs_nothing_twice() {
    let mut desk = Desk::new(2);
    let Assigned::Run(stop) = desk.assign(id(1)) else {
        panic!("refused")
    };
    assert!(matches!(desk.assign(id(1)), Assigned::Known));
    assert!(matches!(desk.assign(id(2)), Assigned::Run(_)));
    assert!(matches!(desk.assign(id(3)), Assigned::Full));
    desk.settled(id(1));
    assert_eq!(desk.len(), 2, "one that runs is not forgotten");
    assert!(desk.ended(id(2), Outcome::Output(Payload::json("7"))).is_some());
    assert_eq!((desk.unsettled().len(), desk.declare().len()), (1, 2));
    desk.stop(id(1));
    assert!(stop.is_cancelled() && desk.ended(id(1), Outcome::Stopped).is_none());
    desk.settled(id(2));
    assert_eq!(desk.len(), 0);
}

#[test]
fn a_trail_leads_to_an_earlier_attempt_only_and_is_bounded() {
    let mut trail = Trail::default();
    trail.leave(id(1), "first".to_owned());
    trail.leave(id(2), "second".to_owned());
    assert_eq!(trail.before(id(3)).as_deref(), Some("second"));
    assert_eq!(trail.before(id(2)), None);
    for task in 100..2_000 {
        trail.leave(
            AttemptId {
                task: TaskId::from_u128(task),
                number: 1,
            },
            "other".to_owned(),
        );
    }
    assert_eq!(trail.before(id(3)), None);
}
