//! Conditions that instances report are incidents while they stand: tasks that nothing can run, no leader, no blob store.

use std::collections::BTreeMap;

use lepton_tests::etcd::RealEtcd;
use lepton_tests::mesh::{Cluster, Sizes, Special};
use lepton_tests::rest::Rest;
use lepton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::audit::text;
use crate::serial::{PATIENCE, exclusive};

const SIZES: Sizes = Sizes {
    schedulers: 1,
    workers: 1,
    gateways: 1,
    monitors: 1,
};

/// A mesh whose incidents need not be waited for as long as usual.
async fn cluster() -> Cluster {
    let second = |name| vec![(name, "1s".to_owned())];
    let environment = BTreeMap::from([
        ("scheduler", second("LEPTON_TASKS__UNPLACEABLE_AFTER")),
        ("monitor", second("LEPTON_INCIDENTS__LEADERLESS_AFTER")),
    ]);
    let special = Special {
        environment,
        ..Special::default()
    };
    Cluster::start_on(RealEtcd::start(1).await, SIZES, special).await
}

/// Incidents of this rule in this state.
async fn of_rule(rest: &Rest, rule: &str, state: &str) -> Vec<Value> {
    let answer = rest.get("/api/v1/incidents").await.json();
    let incidents = answer["incidents"].as_array().cloned().unwrap_or_default();
    let is_it = |incident: &Value| incident["rule"] == rule && incident["state"] == state;
    incidents.into_iter().filter(is_it).collect()
}

/// The one incident of this rule, once it is open.
async fn opened(rest: &Rest, rule: &str) -> Value {
    let open = || async { of_rule(rest, rule, "STATE_OPEN").await.pop() };
    let incident = eventually(PATIENCE, open).await;
    assert_eq!(of_rule(rest, rule, "STATE_OPEN").await.len(), 1, "{incident}");
    incident
}

/// Waits until an incident is closed.
async fn closed(rest: &Rest, rule: &str, id: &Value) {
    let is_closed = || async {
        let closed = of_rule(rest, rule, "STATE_CLOSED").await;
        closed.into_iter().find(|incident| incident["id"] == *id)
    };
    let incident = eventually(PATIENCE, is_closed).await;
    assert!(incident["closeTime"].is_string(), "{incident}");
}

async fn submit(rest: &Rest, label: &str) -> String {
    let task = json!({"kind": "echo", "input": 7, "requirements": {label: "yes"}});
    let task = rest.submit("/api/v1/tasks", &task).await;
    text(&task, "id").to_owned()
}

async fn get(rest: &Rest, id: &str) -> Value {
    rest.get(&format!("/api/v1/tasks/{id}")).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_nothing_can_run_says_so_and_is_an_incident_until_a_worker_comes() {
    let _exclusive = exclusive().await;
    let mut cluster = cluster().await;
    let rest = cluster.rest(0);
    let ids = [submit(&rest, "gpu").await, submit(&rest, "gpu").await];
    let task = get(&rest, &ids[0]).await;
    assert_eq!(task["state"], "STATE_PENDING");
    assert_eq!(task["pendingReason"], "no worker carries the labels gpu=yes");
    let rule = "unplaceable-tasks";
    let open = opened(&rest, rule).await;
    assert_eq!(
        (&open["subject"], &open["severity"]),
        (&json!("default"), &json!("SEVERITY_TICKET"))
    );
    assert!(
        text(&open, "summary").contains("no worker carries the labels gpu=yes"),
        "{open}"
    );
    cluster
        .add_with("worker", &[("LEPTON_TASKS__LABELS__GPU", "yes")])
        .await;
    for id in &ids {
        let done = || async { get(&rest, id).await["state"] == "STATE_SUCCEEDED" };
        eventually(PATIENCE, done).await;
        assert_eq!(get(&rest, id).await["pendingReason"], "");
    }
    closed(&rest, rule, &open["id"]).await;
    // Another need is another incident, and the end of its task ends it.
    let cancelled = submit(&rest, "tpu").await;
    let open = opened(&rest, rule).await;
    let answer = rest.post(&format!("/api/v1/tasks/{cancelled}:cancel"), "{}").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    closed(&rest, rule, &open["id"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mesh_without_a_leader_is_an_incident_until_one_leads() {
    let _exclusive = exclusive().await;
    let mut cluster = cluster().await;
    let rest = cluster.rest(0);
    let scheduler = cluster.of("scheduler")[0].instance.clone();
    cluster.instance(&scheduler).process.kill();
    let open = opened(&rest, "no-leader").await;
    assert_eq!(
        (&open["subject"], &open["severity"]),
        (&json!("scheduler"), &json!("SEVERITY_PAGE"))
    );
    cluster.revive(&scheduler).await;
    closed(&rest, "no-leader", &open["id"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_blob_store_is_one_incident_whoever_misses_it() {
    let _exclusive = exclusive().await;
    let cluster = cluster().await;
    let rest = cluster.rest(0);
    let (store, away) = (cluster.directory().join("blobs"), cluster.directory().join("away"));
    std::fs::rename(&store, &away).expect("renamed");
    let rule = "blob-store-unavailable";
    let open = opened(&rest, rule).await;
    assert!(text(&open, "summary").contains(&store.display().to_string()), "{open}");
    let all = || async {
        let open = of_rule(&rest, rule, "STATE_OPEN").await;
        let [incident] = open.as_slice() else { return false };
        let summary = text(incident, "summary");
        ["gateway-", "scheduler-", "worker-"]
            .iter()
            .all(|it| summary.contains(it))
    };
    eventually(PATIENCE, all).await;
    std::fs::rename(&away, &store).expect("renamed");
    closed(&rest, rule, &open["id"]).await;
}
