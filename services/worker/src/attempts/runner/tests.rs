//! An attempt ends in time, and its outcome is what happened.

use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::BoxFuture;
use lepton_core::metrics::Metrics;
use lepton_domain::ids::{TaskId, Tenant};
use lepton_domain::task::Encoding;

use super::*;
use crate::kind::Kind;

/// Progress that nobody follows.
fn untracked() -> Progress {
    Progress::new(Clock::system()).0
}

/// Code of an attempt.
type Body = fn(Input, CancellationToken) -> BoxFuture<'static, Result<Output, Failure>>;

struct Does(&'static str, Body);

impl Kind for Does {
    fn name(&self) -> &'static str {
        self.0
    }

    fn run(&self, input: Input, cancel: CancellationToken) -> BoxFuture<'static, Result<Output, Failure>> {
        (self.1)(input, cancel)
    }
}

fn output(content: Bytes) -> Result<Output, Failure> {
    Ok(Output {
        encoding: Encoding::Binary,
        content,
    })
}

static STOPPED: AtomicU32 = AtomicU32::new(0);

fn kinds() -> Kinds {
    let kinds = [
        Does("copy", |input, _| async { output(input.content) }.boxed()),
        Does("grow", |_, _| async { output(vec![7; 5_000].into()) }.boxed()),
        Does("panic", |_, _| async { panic!("broken {}", 7) }.boxed()),
        Does("hang", |_, _| std::future::pending().boxed()),
        Does("wait", |input, _| {
            async move {
                // For a processor that others have.
                let waits = input.timer.pause();
                tokio::time::sleep(Duration::from_secs(600)).await;
                drop(waits);
                std::future::pending().await
            }
            .boxed()
        }),
        Does("sleep", |input, _| {
            async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                output(input.content)
            }
            .boxed()
        }),
        Does("tell", |_, cancel| {
            tokio::spawn(async move {
                cancel.cancelled().await;
                STOPPED.fetch_add(1, Ordering::SeqCst);
            });
            std::future::pending().boxed()
        }),
    ];
    Kinds::new(kinds.map(|kind| Arc::new(kind) as Arc<dyn Kind>))
}

struct Bench {
    runner: AttemptRunner,
    _directory: tempfile::TempDir,
}

async fn bench(slots: usize) -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path().to_str().unwrap(), "b7e7").await.unwrap();
    let runner = AttemptRunner {
        kinds: kinds(),
        blobs,
        slots: Arc::new(Semaphore::new(slots)),
        memory: MemoryBudget::new(1 << 20),
        timeout: Duration::from_secs(60),
        stats: Stats::new(1, &Metrics::new()),
        clock: Clock::system(),
    };
    Bench {
        runner,
        _directory: directory,
    }
}

fn assignment(kind: &str) -> Assignment {
    Assignment {
        attempt: AttemptId {
            task: TaskId::from_u128(7),
            number: 1,
        },
        kind: kind.to_owned(),
        input: Payload::json("7"),
        timeout: None,
        deadline_in: None,
        traceparent: String::new(),
        tenant: Tenant::new("default"),
        checkpoint: None,
    }
}

impl Bench {
    async fn run(&self, assignment: Assignment) -> AttemptOutcome {
        self.runner
            .clone()
            .run(assignment, untracked(), CancellationToken::new())
            .await
    }

    async fn fails(&self, assignment: Assignment) -> (String, bool) {
        match self.run(assignment).await {
            AttemptOutcome::Failure(failure) => (failure.error.reason, failure.retryable),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn large_payloads_come_from_and_go_to_the_blob_store() {
    let bench = bench(1).await;
    let task = TaskId::from_u128(7);
    let input = Bytes::from(vec![1; 6_000]);
    let digest = bench.runner.blobs.put(task, input.clone()).await.unwrap();
    let stored = Payload {
        encoding: Encoding::Binary,
        content: Content::Blob { digest, size: 6_000 },
    };
    let copied = bench
        .run(Assignment {
            input: stored.clone(),
            ..assignment("copy")
        })
        .await;
    assert_eq!(copied, AttemptOutcome::Output(stored));

    let AttemptOutcome::Output(Payload {
        content: Content::Blob { digest, size },
        ..
    }) = bench.run(assignment("grow")).await
    else {
        panic!("not in the blob store")
    };
    assert_eq!(
        (size, bench.runner.blobs.get(task, digest).await.unwrap()),
        (5_000, Bytes::from(vec![7; 5_000]))
    );
    let small = bench.run(assignment("copy")).await;
    assert!(matches!(small, AttemptOutcome::Output(output) if !output.is_blob()));
}

#[tokio::test]
async fn failures_say_why_and_whether_to_try_again() {
    let bench = bench(1).await;
    assert_eq!(
        bench.fails(assignment("panic")).await,
        ("HANDLER_FAILED".to_owned(), true)
    );
    assert_eq!(bench.fails(assignment("fly")).await, ("KIND_UNKNOWN".to_owned(), true));
    let lost = Content::Blob {
        digest: lepton_domain::ids::ContentDigest([7; 32]),
        size: 9,
    };
    let lost = Assignment {
        input: Payload {
            encoding: Encoding::Json,
            content: lost,
        },
        ..assignment("copy")
    };
    assert_eq!(bench.fails(lost).await, ("BLOB_NOT_FOUND".to_owned(), false));
    let load = bench.runner.stats.load();
    assert_eq!((load.finished_total, load.failed_total, load.in_flight), (3, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_a_failure_and_frees_the_slot() {
    let bench = bench(1).await;
    let limit = Duration::from_secs(2);
    let timed_out = bench.fails(Assignment {
        timeout: Some(limit),
        ..assignment("hang")
    });
    let (first, second) = tokio::join!(timed_out, bench.run(assignment("copy")));
    assert_eq!(first, ("TIMEOUT".to_owned(), true));
    assert!(matches!(second, AttemptOutcome::Output(_)), "{second:?}");
    assert_eq!(
        bench.fails(assignment("hang")).await.0,
        "TIMEOUT",
        "the worker's limit, where the task has none"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_reaches_running_and_waiting_attempts() {
    let bench = bench(1).await;
    let (stop, stop_waiting) = (CancellationToken::new(), CancellationToken::new());
    let running = bench.runner.clone().run(assignment("tell"), untracked(), stop.clone());
    let waiting = bench
        .runner
        .clone()
        .run(assignment("copy"), untracked(), stop_waiting.clone());
    let (running, waiting) = (tokio::spawn(running), tokio::spawn(waiting));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        (bench.runner.stats.load().in_flight, bench.runner.stats.load().queued),
        (1, 1)
    );
    stop_waiting.cancel();
    assert_eq!(waiting.await.unwrap(), AttemptOutcome::Stopped);
    stop.cancel();
    assert_eq!(running.await.unwrap(), AttemptOutcome::Stopped);
    let stopped = async {
        while STOPPED.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await
        }
    };
    timeout(Duration::from_secs(10), stopped).await.unwrap();
    assert_eq!(bench.runner.slots.available_permits(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_frees_the_slot_and_leaves_the_verdict_to_the_leader() {
    let bench = bench(1).await;
    let late = || Assignment {
        deadline_in: Some(Duration::from_secs(1)),
        ..assignment("hang")
    };
    let stop = CancellationToken::new();
    let attempt = tokio::spawn(bench.runner.clone().run(late(), untracked(), stop.clone()));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.runner.slots.available_permits(), 1);
    stop.cancel();
    assert_eq!(attempt.await.unwrap(), AttemptOutcome::Stopped);
    // Without a word of the leader, the worker reports it.
    assert_eq!(bench.fails(late()).await, ("DEADLINE_EXCEEDED".to_owned(), false));
}

#[test]
fn a_retry_finds_the_span_of_the_attempt_before_wherever_that_ran() {
    let mut retry = assignment("copy");
    assert_eq!(before(&retry), None, "it is in no trace");
    retry.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    assert_eq!(before(&retry), None, "it is the first");
    let first = span_id(retry.attempt);
    retry.attempt.number = 2;
    let linked = before(&retry).unwrap();
    assert_eq!(linked.trace_id(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(linked.span_id(), format!("{first:016x}"));
    let other = AttemptId {
        task: TaskId::from_u128(8),
        number: 1,
    };
    let ids = std::collections::BTreeSet::from([first, span_id(retry.attempt), span_id(other)]);
    assert_eq!(ids.len(), 3, "each attempt has its own");
}

#[tokio::test(start_paused = true)]
async fn the_time_that_an_attempt_waits_for_others_is_not_its_own() {
    let bench = bench(1).await;
    let clock = bench.runner.clock;
    let begun = clock.monotonic();
    let timed_out = bench.fails(Assignment {
        timeout: Some(Duration::from_secs(2)),
        ..assignment("wait")
    });
    assert_eq!(timed_out.await.0, "TIMEOUT");
    let took = (clock.monotonic() - begun).as_secs();
    assert!((602..610).contains(&took), "{took} s");
}

/// Waits in real time, as the store does; the attempts take a second each.
#[tokio::test]
async fn attempts_wait_for_the_memory_of_their_payloads() {
    let bench = bench(8).await;
    let task = TaskId::from_u128(7);
    let digest = bench.runner.blobs.put(task, vec![1; 600_000].into()).await.unwrap();
    let stored = |number| Assignment {
        attempt: AttemptId { task, number },
        input: Payload {
            encoding: Encoding::Binary,
            content: Content::Blob { digest, size: 600_000 },
        },
        // The second one waits half of it.
        timeout: Some(Duration::from_millis(1_500)),
        ..assignment("sleep")
    };
    let begun = bench.runner.clock.monotonic();
    let small = bench.run(assignment("sleep"));
    let (first, second, small) = tokio::join!(bench.run(stored(1)), bench.run(stored(2)), small);
    assert!(matches!(
        (first, second, small),
        (
            AttemptOutcome::Output(_),
            AttemptOutcome::Output(_),
            AttemptOutcome::Output(_)
        )
    ));
    let took = bench.runner.clock.monotonic() - begun;
    assert!(
        took >= Duration::from_secs(2),
        "both at once in {took:?}, in a mebibyte"
    );
}

#[tokio::test]
async fn a_timeout_stops_code_that_computes_and_waiting_for_a_processor_is_no_part_of_it() {
    /// Computes until it is stopped.
    struct Computes(crate::cpu_pool::CpuPool, Duration);
    impl Kind for Computes {
        fn name(&self) -> &'static str {
            "compute"
        }
        fn run(&self, input: Input, cancel: CancellationToken) -> BoxFuture<'static, Result<Output, Failure>> {
            let (compute, least) = (self.0.timed(&input.timer), self.1);
            async move {
                let clock = Clock::system();
                let work = move |stop: &dyn Fn() -> bool| while !stop() || clock.monotonic() < least {};
                let _ = compute.run(&cancel, work).await;
                output(input.content)
            }
            .boxed()
        }
    }
    let mut bench = bench(2).await;
    let compute = crate::cpu_pool::CpuPool::new(1);
    let kind = Computes(compute.clone(), Duration::from_millis(600));
    bench.runner.kinds = Kinds::new([Arc::new(kind) as Arc<dyn Kind>]);
    let limited = || Assignment {
        timeout: Some(Duration::from_millis(200)),
        ..assignment("compute")
    };
    let begun = bench.runner.clock.monotonic();
    // Whichever is first has the processor three times as long as the other's limit.
    let (first, second) = tokio::join!(bench.fails(limited()), bench.fails(limited()));
    assert_eq!((&*first.0, &*second.0), ("TIMEOUT", "TIMEOUT"));
    let took = bench.runner.clock.monotonic() - begun;
    assert!(took >= Duration::from_millis(800), "the second one ran too: {took:?}");
    let cancel = CancellationToken::new();
    let free = timeout(Duration::from_secs(10), compute.run(&cancel, |_| 7));
    assert_eq!(free.await.unwrap(), Ok(7), "the processor is free");
}
