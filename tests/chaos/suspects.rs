//! Lost and drained workers: only what ends a worker by itself is condemned, and a planned restart is no loss.

use lepton_tests::etcd::RealEtcd;
use lepton_tests::mesh::{Cluster, Sizes, Special};
use lepton_tests::rest::Rest;
use lepton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::audit::{Audit, text};
use crate::serial::{PATIENCE, exclusive};

/// Tasks beside the culprit.
const INNOCENTS: usize = 20;
/// Restarts of the worker that runs the long task.
const RESTARTS: usize = 3;

const SIZES: Sizes = Sizes {
    schedulers: 1,
    workers: 2,
    gateways: 1,
    monitors: 0,
};

async fn submit(rest: &Rest, input: Value) -> String {
    let task = rest
        .submit("/api/v1/tasks", &json!({"kind": "echo", "input": input}))
        .await;
    text(&task, "id").to_owned()
}

async fn get(rest: &Rest, id: &str) -> Value {
    rest.get(&format!("/api/v1/tasks/{id}")).await.json()
}

/// The worker that runs attempt `number` of a task, once it does.
async fn worker_of(rest: &Rest, id: &str, number: usize) -> String {
    let runs = || async {
        let task = get(rest, id).await;
        let current = task["state"] == "STATE_RUNNING" && task["attempts"] == number;
        current.then(|| text(&task, "worker").to_owned())
    };
    eventually(PATIENCE, runs).await
}

#[tokio::test(flavor = "multi_thread")]
async fn innocents_survive_the_culprit_beside_them() {
    let _exclusive = exclusive().await;
    let mut cluster = Cluster::start(SIZES).await;
    let rest = cluster.rest(0);
    let culprit = submit(&rest, json!({"delay_ms": 600_000})).await;
    let mut innocents = Vec::new();
    for _ in 0..INNOCENTS {
        innocents.push(submit(&rest, json!({"delay_ms": 500})).await);
    }
    for number in 1..=3 {
        let worker = worker_of(&rest, &culprit, number).await;
        cluster.instance(&worker).process.kill();
        cluster.revive(&worker).await;
    }
    let ended = || async { get(&rest, &culprit).await["state"] == "STATE_FAILED" };
    eventually(PATIENCE, ended).await;
    assert_eq!(get(&rest, &culprit).await["error"]["reason"], "POISON");
    for id in &innocents {
        let ended = || async { get(&rest, id).await["endTime"].is_string() };
        eventually(PATIENCE, ended).await;
        let task = get(&rest, id).await;
        assert_eq!(task["state"], "STATE_SUCCEEDED", "{task}");
    }
    let audit = Audit::of(&cluster.etcd.endpoints()[0]).await;
    let lost = audit.events("attempt_lost").count();
    assert!(lost > RESTARTS, "the innocents were lost beside it: {lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn planned_restarts_hand_a_long_task_on_with_its_checkpoint() {
    let _exclusive = exclusive().await;
    let short_drain = ("LEPTON_TASKS__DRAIN_TIMEOUT", "300ms".to_owned());
    let special = Special {
        environment: [("worker", vec![short_drain])].into(),
        ..Special::default()
    };
    let mut cluster = Cluster::start_on(RealEtcd::start(1).await, SIZES, special).await;
    let rest = cluster.rest(0);
    let long = submit(&rest, json!({"delay_ms": 600_000, "checkpoint": true})).await;
    let mut fraction = 0.0;
    for number in 1..=RESTARTS {
        let worker = worker_of(&rest, &long, number).await;
        let advances = || async {
            let progress = get(&rest, &long).await["progress"].clone();
            let now = progress["fraction"].as_f64()?;
            (progress["attempt"] == number && now > fraction).then_some(now)
        };
        fraction = eventually(PATIENCE, advances).await;
        let member = cluster.instance(&worker);
        member.process.terminate();
        assert!(member.process.end().await.success());
        cluster.revive(&worker).await;
    }
    worker_of(&rest, &long, RESTARTS + 1).await;
    let goes_on = || async {
        let progress = get(&rest, &long).await["progress"].clone();
        let now = progress["fraction"].as_f64()?;
        (progress["attempt"] == RESTARTS + 1).then_some(now)
    };
    let now = eventually(PATIENCE, goes_on).await;
    assert!(now > fraction, "{now} after {fraction}: it began anew");
    let audit = Audit::of(&cluster.etcd.endpoints()[0]).await;
    assert_eq!(audit.events("attempt_returned").count(), RESTARTS);
    assert_eq!(audit.events("attempt_lost").count(), 0);
    let cancelled = rest.post(&format!("/api/v1/tasks/{long}:cancel"), "{}").await;
    assert_eq!(cancelled.json()["state"], "STATE_CANCELLED");
}
