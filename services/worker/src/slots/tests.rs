//! Attempts are run once, reported until settled, and never heard of after a stop.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use lepton_core::blob::Blobs;
use lepton_core::clock::Clock;
use lepton_core::metrics::Metrics;
use lepton_domain::ids::{TaskId, Tenant};
use lepton_domain::task::Payload;
use lepton_proto::worker::v1::Report;
use lepton_proto::worker::v1::open_session_request::Message;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::*;
use crate::compute::Compute;
use crate::kind::{Input, Kind, Kinds, Output};
use crate::memory::Memory;
use crate::progress::Said;
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
    slots_of(Kinds::built_in(&Compute::new(1))).await
}

async fn slots_of(kinds: Kinds) -> (SlotsHandle, JoinSet<()>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let runner = Runner {
        kinds,
        blobs: Blobs::open(directory.path().to_str().unwrap(), "b7e7").await.unwrap(),
        slots: Arc::new(Semaphore::new(2)),
        memory: Memory::new(1 << 20),
        timeout: Duration::from_secs(60),
        stats: Stats::new(2, &Metrics::new()),
        clock: Clock::system(),
    };
    let (slots, handle) = Slots::new(runner, 2);
    let mut tasks = JoinSet::new();
    tasks.spawn(slots.run());
    (handle, tasks, directory)
}

/// What nobody speaks into.
fn unheard() -> watch::Receiver<Option<Said>> {
    Progress::new(Clock::system()).1
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
        let held = slots.declare().await.unwrap();
        assert_eq!((held.all, held.ended), (vec![id(1).into()], vec![id(1).into()]));
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
    let held = slots.declare().await.unwrap();
    assert_eq!((held.all.len(), held.ended.len()), (1, 0), "it runs");
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

/// Says all the time how far it is, and ends when it is told to.
struct Speaks {
    ends: CancellationToken,
}

impl Kind for Speaks {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn run(&self, input: Input, _cancel: CancellationToken) -> BoxFuture<'static, Result<Output, Failure>> {
        let ends = self.ends.clone();
        async move {
            for step in 1_u32.. {
                input.progress.say(f64::from(step) / 1e9, &[("step", f64::from(step))]);
                tokio::select! {
                    () = ends.cancelled() => break,
                    () = tokio::task::yield_now() => {}
                }
            }
            Ok(Output {
                encoding: input.encoding,
                content: input.content,
            })
        }
        .boxed()
    }
}

/// Breaks when it is given up, where no kind's panic is caught.
struct Breaks;

impl Kind for Breaks {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn run(&self, _input: Input, _cancel: CancellationToken) -> BoxFuture<'static, Result<Output, Failure>> {
        struct Trap;
        impl Drop for Trap {
            fn drop(&mut self) {
                panic!("broken in the end");
            }
        }
        async {
            let _trap = Trap;
            std::future::pending().await
        }
        .boxed()
    }
}

#[tokio::test]
async fn an_attempt_that_is_lost_is_reported_and_keeps_no_drain_waiting() {
    let (slots, _tasks, _directory) = slots_of(Kinds::of([Arc::new(Breaks) as Arc<dyn Kind>])).await;
    let (line, mut leader) = line(8);
    slots.connect(line).await.unwrap();
    let limited = Assignment {
        timeout: Some(Duration::from_millis(20)),
        ..echo(1, "7")
    };
    slots.assign(limited).await.unwrap();
    assert_eq!(next_report(&mut leader).await.attempt, Some(id(1).into()));
    slots.settled(id(1)).await.unwrap();
    timeout(Duration::from_secs(10), slots.idle()).await.unwrap();
}

async fn next_step(line: &mut mpsc::Receiver<OpenSessionRequest>) -> (u32, f64) {
    let message = timeout(Duration::from_secs(10), line.recv()).await.unwrap().unwrap();
    match message.message {
        Some(Message::Progress(told)) => {
            assert_eq!(told.attempt, Some(id(1).into()));
            let progress = told.progress.unwrap();
            (progress.attempt, progress.figures["step"])
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn progress_is_told_now_and_then_to_whoever_leads_and_ends_with_the_attempt() {
    let ends = CancellationToken::new();
    let kind = Arc::new(Speaks { ends: ends.clone() });
    let (slots, _tasks, _directory) = slots_of(Kinds::of([kind as Arc<dyn Kind>])).await;
    slots.assign(echo(1, "7")).await.unwrap();
    let mut last = 0.0;
    for _leader in 0..2 {
        let (line, mut leader) = line(8);
        slots.connect(line).await.unwrap();
        for _ in 0..2 {
            let (number, step) = next_step(&mut leader).await;
            assert!(number == 1 && step > last, "{step} after {last}");
            last = step;
        }
    }
    let (line, mut leader) = line(8);
    slots.connect(line).await.unwrap();
    ends.cancel();
    let report = eventually_report(&mut leader).await;
    assert_eq!(report.attempt, Some(id(1).into()));
    slots.settled(id(1)).await.unwrap();
    timeout(Duration::from_secs(10), slots.idle()).await.unwrap();
    assert!(leader.try_recv().is_err(), "nothing after the report");
}

/// The next report; progress may come before it.
async fn eventually_report(line: &mut mpsc::Receiver<OpenSessionRequest>) -> Report {
    loop {
        let message = timeout(Duration::from_secs(10), line.recv()).await.unwrap().unwrap();
        match message.message {
            Some(Message::Report(report)) => return report,
            Some(Message::Progress(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_desk_tells_only_news_and_no_more_than_there_is_room_for() {
    let mut desk = Desk::new(8);
    let speakers: Vec<Progress> = (1..=3)
        .map(|number| {
            let (progress, heard) = Progress::new(Clock::system());
            assert!(matches!(desk.assign(id(number), heard), Assigned::Run(_)));
            progress
        })
        .collect();
    assert!(desk.progress(8).is_empty(), "nothing was said");
    speakers.iter().for_each(|one| one.say(0.5, &[]));
    assert_eq!(
        [desk.progress(2).len(), desk.progress(8).len(), desk.progress(8).len()],
        [2, 1, 0]
    );
    desk.repeat_progress();
    desk.ended(id(1), Outcome::Output(Payload::json("7")));
    assert_eq!(desk.progress(8).len(), 2, "one that ended has nothing more to say");
}

#[test]
fn the_desk_keeps_what_is_not_settled_and_runs_nothing_twice() {
    let mut desk = Desk::new(2);
    let Assigned::Run(stop) = desk.assign(id(1), unheard()) else {
        panic!("refused")
    };
    assert!(matches!(desk.assign(id(1), unheard()), Assigned::Known));
    assert!(matches!(desk.assign(id(2), unheard()), Assigned::Run(_)));
    assert!(matches!(desk.assign(id(3), unheard()), Assigned::Full));
    desk.settled(id(1));
    assert_eq!(desk.len(), 2, "one that runs is not forgotten");
    assert!(desk.ended(id(2), Outcome::Output(Payload::json("7"))).is_some());
    assert_eq!((desk.unsettled().len(), desk.declare().all.len()), (1, 2));
    assert_eq!(desk.declare().ended, [id(2).into()]);
    desk.stop(id(1));
    assert!(stop.is_cancelled() && desk.ended(id(1), Outcome::Stopped).is_none());
    desk.settled(id(2));
    assert_eq!(desk.len(), 0);
}
