//! Attempts are run once, reported until settled, and never reported after a stop.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use lepton_core::blob::Blobs;
use lepton_core::clock::Clock;
use lepton_core::metrics::Metrics;
use lepton_domain::ids::{TaskId, Tenant};
use lepton_domain::task::Payload;
use lepton_mesh::memory_budget::MemoryBudget;
use lepton_proto::worker::v1::Report;
use lepton_proto::worker::v1::open_session_request::Message;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::*;
use crate::kind::{Input, Kind, Output};
use crate::kinds::Kinds;
use crate::kinds::echo::Echo;
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
        checkpoint: None,
    }
}

/// Attempts that run, and their blobs for as long.
async fn attempts() -> (AttemptsHandle, JoinSet<()>, tempfile::TempDir) {
    attempts_of(Kinds::new([Arc::new(Echo) as Arc<dyn Kind>])).await
}

async fn attempts_of(kinds: Kinds) -> (AttemptsHandle, JoinSet<()>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let runner = AttemptRunner {
        kinds,
        blobs: Blobs::open(directory.path().to_str().unwrap(), "b7e7").await.unwrap(),
        slots: Arc::new(Semaphore::new(2)),
        memory: MemoryBudget::new(1 << 20),
        timeout: Duration::from_secs(60),
        stats: Stats::new(2, &Metrics::new()),
        clock: Clock::system(),
    };
    let (attempts, handle) = Attempts::new(runner, 2);
    let mut tasks = JoinSet::new();
    tasks.spawn(attempts.run());
    (handle, tasks, directory)
}

/// A session's end of the sink.
fn sink(capacity: usize) -> (ReportSink, mpsc::Receiver<OpenSessionRequest>) {
    let (sender, receiver) = mpsc::channel(capacity);
    (
        ReportSink {
            sender,
            broken: CancellationToken::new(),
        },
        receiver,
    )
}

async fn next_report(sink: &mut mpsc::Receiver<OpenSessionRequest>) -> Report {
    let message = timeout(Duration::from_secs(10), sink.recv()).await.unwrap().unwrap();
    match message.message {
        Some(Message::Report(report)) => report,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_report_is_sent_to_every_leader_until_one_has_settled_it() {
    let (attempts, _tasks, _directory) = attempts().await;
    attempts.assign(Box::new(echo(1, "7"))).await.unwrap();
    for _ in 0..2 {
        let (sink, mut leader) = sink(8);
        attempts.connect(sink).await.unwrap();
        assert_eq!(next_report(&mut leader).await.attempt, Some(id(1).into()));
        let held = attempts.declare().await.unwrap();
        assert_eq!((held.all, held.ended), (vec![id(1).into()], vec![id(1).into()]));
    }
    attempts.settle(id(1)).await.unwrap();
    timeout(Duration::from_secs(10), attempts.idle()).await.unwrap();
    let (sink, mut leader) = sink(8);
    attempts.connect(sink).await.unwrap();
    attempts.assign(Box::new(echo(2, "8"))).await.unwrap();
    assert_eq!(
        next_report(&mut leader).await.attempt,
        Some(id(2).into()),
        "nothing of the settled one"
    );
}

#[tokio::test]
async fn a_stopped_attempt_is_not_reported() {
    let (attempts, _tasks, _directory) = attempts().await;
    let (sink, mut leader) = sink(8);
    attempts.connect(sink).await.unwrap();
    attempts
        .assign(Box::new(echo(1, r#"{"delay_ms":86400000}"#)))
        .await
        .unwrap();
    let held = attempts.declare().await.unwrap();
    assert_eq!((held.all.len(), held.ended.len()), (1, 0), "it runs");
    attempts.stop(id(1)).await.unwrap();
    timeout(Duration::from_secs(10), attempts.idle()).await.unwrap();
    attempts.assign(Box::new(echo(2, "8"))).await.unwrap();
    assert_eq!(next_report(&mut leader).await.attempt, Some(id(2).into()));
}

#[tokio::test]
async fn a_full_sink_is_broken_and_nothing_is_lost() {
    let (attempts, _tasks, _directory) = attempts().await;
    let (full, _not_read) = sink(1);
    attempts.connect(full.clone()).await.unwrap();
    for number in 1..=2 {
        attempts.assign(Box::new(echo(number, "7"))).await.unwrap();
    }
    timeout(Duration::from_secs(10), full.broken.cancelled()).await.unwrap();
    let (sink, mut leader) = sink(8);
    attempts.connect(sink).await.unwrap();
    let mut reported =
        [next_report(&mut leader).await, next_report(&mut leader).await].map(|it| it.attempt.unwrap().number);
    reported.sort_unstable();
    assert_eq!(reported, [1, 2]);
}

/// Reports progress all the time, and ends when it is released.
struct Reports {
    ends: CancellationToken,
}

impl Kind for Reports {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn run(&self, input: Input, _cancel: CancellationToken) -> BoxFuture<'static, Result<Output, Failure>> {
        let ends = self.ends.clone();
        async move {
            for step in 1_u32.. {
                input
                    .progress
                    .report(f64::from(step) / 1e9, &[("step", f64::from(step))]);
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

/// Panics when it is given up, where no kind's panic is caught.
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
    let (attempts, _tasks, _directory) = attempts_of(Kinds::new([Arc::new(Breaks) as Arc<dyn Kind>])).await;
    let (sink, mut leader) = sink(8);
    attempts.connect(sink).await.unwrap();
    let limited = Assignment {
        timeout: Some(Duration::from_millis(20)),
        ..echo(1, "7")
    };
    attempts.assign(Box::new(limited)).await.unwrap();
    assert_eq!(next_report(&mut leader).await.attempt, Some(id(1).into()));
    attempts.settle(id(1)).await.unwrap();
    timeout(Duration::from_secs(10), attempts.idle()).await.unwrap();
}

async fn next_step(sink: &mut mpsc::Receiver<OpenSessionRequest>) -> (u32, f64) {
    let message = timeout(Duration::from_secs(10), sink.recv()).await.unwrap().unwrap();
    match message.message {
        Some(Message::Progress(sent)) => {
            assert_eq!(sent.attempt, Some(id(1).into()));
            let progress = sent.progress.unwrap();
            (progress.attempt, progress.figures["step"])
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn progress_is_sent_now_and_then_to_whoever_leads_and_ends_with_the_attempt() {
    let ends = CancellationToken::new();
    let kind = Arc::new(Reports { ends: ends.clone() });
    let (attempts, _tasks, _directory) = attempts_of(Kinds::new([kind as Arc<dyn Kind>])).await;
    attempts.assign(Box::new(echo(1, "7"))).await.unwrap();
    let mut last = 0.0;
    for _leader in 0..2 {
        let (sink, mut leader) = sink(8);
        attempts.connect(sink).await.unwrap();
        for _ in 0..2 {
            let (number, step) = next_step(&mut leader).await;
            assert!(number == 1 && step > last, "{step} after {last}");
            last = step;
        }
    }
    let (sink, mut leader) = sink(8);
    attempts.connect(sink).await.unwrap();
    ends.cancel();
    let report = eventually_report(&mut leader).await;
    assert_eq!(report.attempt, Some(id(1).into()));
    attempts.settle(id(1)).await.unwrap();
    timeout(Duration::from_secs(10), attempts.idle()).await.unwrap();
    assert!(leader.try_recv().is_err(), "nothing after the report");
}

/// The next report; progress may come before it.
async fn eventually_report(sink: &mut mpsc::Receiver<OpenSessionRequest>) -> Report {
    loop {
        let message = timeout(Duration::from_secs(10), sink.recv()).await.unwrap().unwrap();
        match message.message {
            Some(Message::Report(report)) => return report,
            Some(Message::Progress(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}
