//! Sessions of workers: progress on its way to clients, and workers that come back with work that is done.

use lepton_domain::ids::AttemptId;
use lepton_proto::journal::v1::Attempt;
use lepton_tests::mesh::{Cluster, Sizes};
use lepton_tests::rest::Rest;
use lepton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::audit::{Audit, text};
use crate::fake_worker::{FakeWorker, Holds, LABEL};
use crate::serial::{PATIENCE, exclusive};

const TASKS: &str = "/api/v1/tasks";
const SIZES: Sizes = Sizes {
    gateways: 1,
    schedulers: 1,
    workers: 1,
    monitors: 0,
};

/// A task that only the played worker may run.
async fn submit(rest: &Rest) -> Value {
    let (name, value) = LABEL;
    let body =
        json!({"kind": "echo", "input": "x", "requirements": {name: value}, "retry": {"initialBackoff": "0.01s"}});
    rest.submit(TASKS, &body).await
}

fn path(task: &Value) -> String {
    format!("{TASKS}/{}", text(task, "id"))
}

async fn get(rest: &Rest, task: &Value) -> Value {
    rest.get(&path(task)).await.json()
}

async fn end(rest: &Rest, task: &Value) -> Value {
    rest.get(&format!("{}:wait?timeout=60s", path(task))).await.json()
}

/// Waits until the task shows this fraction, and gives it as it is then.
async fn shows(rest: &Rest, task: &Value, fraction: f64) -> Value {
    let shown = || async {
        let task = get(rest, task).await;
        (task["progress"]["fraction"] == json!(fraction)).then_some(task)
    };
    eventually(PATIENCE, shown).await
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_reaches_readers_and_watchers_and_goes_with_its_attempt() {
    let _exclusive = exclusive().await;
    let cluster = Cluster::start(SIZES).await;
    let (rest, leader) = (cluster.rest(0), cluster.of("scheduler")[0].address.clone());
    let mut worker = FakeWorker::open(&leader, Holds::default()).await;
    let task = submit(&rest).await;
    let first = worker.assigned().await;
    let running = get(&rest, &task).await;
    assert_eq!(
        (&running["worker"], running.get("progress")),
        (&json!("played"), None),
        "{running}"
    );

    let figures = [("loss", 0.125), ("epoch", 40.0), ("gap", f64::NAN)];
    worker.advance(first, 0.25, &figures);
    let shown = shows(&rest, &task, 0.25).await;
    assert_eq!(
        shown["progress"]["figures"],
        json!({"epoch": 40, "loss": 0.125}),
        "{shown}"
    );
    assert_eq!(shown["progress"]["attempt"], 1);
    assert_eq!(shown["version"], running["version"], "it is no change of the task");
    let waited = rest.get(&format!("{}:wait?timeout=0.1s", path(&task))).await.json();
    assert_eq!(waited["progress"], shown["progress"]);

    let mut watch = rest.events(&format!("{}:watch", path(&task))).await;
    let before = watch.next().await.expect("the present state");
    let other = AttemptId { number: 7, ..first };
    worker.advance(other, 0.75, &[]);
    worker.advance(first, 0.5, &[]);
    let after = watch.next().await.expect("its progress");
    assert_eq!(before.id, after.id, "news of progress repeat the task at its version");
    let after: Value = serde_json::from_str(&after.data).expect("a task");
    assert_eq!(
        after["progress"]["fraction"], 0.5,
        "only the attempt that runs is heard: {after}"
    );

    worker.fail(first);
    let second = worker.assigned().await;
    assert_eq!((second.task, second.number), (first.task, 2));
    worker.advance(first, 0.875, &[]);
    let retried = get(&rest, &task).await;
    assert_eq!(
        (&retried["attempts"], retried.get("progress")),
        (&json!(2), None),
        "{retried}"
    );
    worker.advance(second, 0.0625, &[]);
    assert_eq!(shows(&rest, &task, 0.0625).await["progress"]["attempt"], 2);
    worker.succeed(second, "7");
    let ended = end(&rest, &task).await;
    assert_eq!((&ended["output"], ended.get("progress")), (&json!(7), None), "{ended}");
    let last = watch.rest().await.pop().expect("the end");
    assert!(last.data.contains("STATE_SUCCEEDED"), "{last:?}");
}

/// Gets an attempt and is cut off with it; waits until the leader has given it up.
async fn cut_off(rest: &Rest, leader: &str, task: &Value) -> AttemptId {
    let mut worker = FakeWorker::open(leader, Holds::default()).await;
    let attempt = worker.assigned().await;
    drop(worker);
    eventually(PATIENCE, || async { get(rest, task).await["state"] == "STATE_PENDING" }).await;
    attempt
}

fn done(attempt: AttemptId) -> Holds {
    let attempt = Attempt::from(attempt);
    Holds {
        all: vec![attempt.clone()],
        ended: vec![attempt],
        mark: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_was_done_during_a_partition_is_not_repeated() {
    let _exclusive = exclusive().await;
    let cluster = Cluster::start(SIZES).await;
    let (rest, leader) = (cluster.rest(0), cluster.of("scheduler")[0].address.clone());
    let task = submit(&rest).await;
    let attempt = cut_off(&rest, &leader, &task).await;

    // It is back, with a free slot and a report that comes only after others could have been assigned.
    let mut worker = FakeWorker::open(&leader, done(attempt)).await;
    let other = submit(&rest).await;
    let next = worker.assigned().await;
    assert_eq!(next.task.to_string(), text(&other, "id"), "other tasks go on");
    worker.succeed(attempt, "7");
    worker.succeed(next, "8");
    assert!(worker.settled(attempt).await, "the report stands");
    let ended = end(&rest, &task).await;
    assert_eq!(
        (&ended["output"], &ended["attempts"]),
        (&json!(7), &json!(1)),
        "{ended}"
    );
    assert_eq!(end(&rest, &other).await["output"], 8);
    let audit = Audit::of(&cluster.etcd.endpoints()[0]).await;
    assert_eq!(
        audit.events("attempt_lost").count(),
        1,
        "the leader had given it up: {:?}",
        audit.events
    );
    assert_eq!(audit.events("started").count(), 2, "one start a task");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_does_not_come_holds_nothing_up() {
    let _exclusive = exclusive().await;
    let cluster = Cluster::start(SIZES).await;
    let (rest, leader) = (cluster.rest(0), cluster.of("scheduler")[0].address.clone());
    let task = submit(&rest).await;
    let attempt = cut_off(&rest, &leader, &task).await;
    let mut worker = FakeWorker::open(&leader, done(attempt)).await;
    let second = worker.assigned().await;
    assert_eq!((second.task, second.number), (attempt.task, 2));
    worker.succeed(second, "8");
    assert!(worker.settled(second).await);
    assert_eq!(end(&rest, &task).await["output"], 8);
    worker.succeed(attempt, "7");
    assert!(!worker.settled(attempt).await, "it came too late: another had won");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_frozen_and_woken_reports_what_it_did() {
    let _exclusive = exclusive().await;
    let mut cluster = Cluster::start(SIZES).await;
    let rest = cluster.rest(0);
    let task = rest
        .submit(TASKS, &json!({"kind": "echo", "input": {"delay_ms": 3_000}}))
        .await;
    eventually(PATIENCE, || async {
        get(&rest, &task).await["state"] == "STATE_RUNNING"
    })
    .await;
    cluster.member("worker", 0).process.freeze();
    // Its silence is noticed after the delay is over: what it wakes to is an attempt that has ended.
    eventually(PATIENCE, || async {
        get(&rest, &task).await["state"] == "STATE_PENDING"
    })
    .await;
    cluster.member("worker", 0).process.thaw();
    let ended = end(&rest, &task).await;
    assert_eq!(
        (&ended["state"], &ended["attempts"]),
        (&json!("STATE_SUCCEEDED"), &json!(1)),
        "{ended}"
    );
}
