//! What a leader does beside its work: closing batches, snapshots, trimming, and the farewell.

use std::collections::BTreeMap;
use std::time::Duration;

use lepton_tests::etcd::RealEtcd;
use lepton_tests::mesh::{Cluster, Sizes, Special, leader, nodes};
use lepton_tests::rest::Rest;
use lepton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::audit::{Audit, settled, text};
use crate::deaths::gateways;
use crate::load::{Load, Plan};
use crate::serial::{PATIENCE, exclusive};

const SMALL: Sizes = Sizes {
    gateways: 1,
    schedulers: 1,
    workers: 1,
    monitors: 0,
};

async fn with(sizes: Sizes, name: &'static str, value: &str) -> Cluster {
    let special = Special {
        environment: BTreeMap::from([("scheduler", vec![(name, value.to_owned())])]),
        ..Special::default()
    };
    Cluster::start_on(RealEtcd::start(1).await, sizes, special).await
}

/// The epoch of the scheduler that leads.
async fn epoch(rest: &Rest) -> Option<String> {
    let nodes = nodes(rest).await;
    let leader = nodes.iter().find(|node| node["leader"] == true)?;
    Some(text(leader, "epoch").to_owned())
}

/// Submits so many tasks with an input of so many bytes in one batch.
async fn submit(rest: &Rest, name: &str, count: usize, bytes: usize) {
    let input = "x".repeat(bytes);
    let requests = (0..count).map(|n| json!({"kind": "echo", "input": input, "requestId": format!("{name}-{n}")}));
    let body = json!({"requests": requests.collect::<Vec<_>>()});
    let answer = rest.submit("/api/v1/tasks:batchSubmit", &body).await;
    let results = answer["results"].as_array().expect("results");
    assert_eq!(results.len(), count);
    let refused = results.iter().find(|result| result["task"].is_null());
    assert!(refused.is_none(), "{refused:?}");
}

async fn status(rest: &Rest) -> Value {
    rest.get("/api/v1/journal").await.json()
}

fn number(status: &Value, field: &str) -> u64 {
    text(status, field).parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_large_inputs_deposes_nobody() {
    let _exclusive = exclusive().await;
    let cluster = Cluster::start(SMALL).await;
    let rest = cluster.rest(0);
    let first = eventually(PATIENCE, || epoch(&rest)).await;
    // As much as stays inside a task's record; some hundred of them are more than a segment may have.
    submit(&rest, "large", 4_000, 3_900).await;
    settled(&rest).await;
    assert_eq!(epoch(&rest).await, Some(first), "the same leader in the same epoch");
    let audit = Audit::of(&cluster.etcd.endpoints()[0]).await;
    assert_eq!(text(&audit.found, "succeededCount"), "4000");
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_trimming_go_on_beside_the_work() {
    let _exclusive = exclusive().await;
    let sizes = Sizes { schedulers: 2, ..SMALL };
    let mut cluster = with(sizes, "LEPTON_JOURNAL__SNAPSHOT_BYTES", "262144").await;
    let rest = cluster.rest(0);
    let mut rounds = 0;
    while number(&status(&rest).await, "firstSegment") < 50 {
        submit(&rest, &format!("round-{rounds}"), 300, 1_000).await;
        let verified = rest.get("/api/v1/journal:verify").await.json();
        assert_eq!(verified["ok"], true, "{verified}");
        rounds += 1;
        assert!(rounds < 100, "{}", status(&rest).await);
    }
    assert!(number(&status(&rest).await, "snapshotSegment") > 0);
    let archive = cluster.directory().join("blobs/archive/journal");
    let archived = archive.read_dir().expect("an archive").count();
    assert!(archived > 0, "trimmed segments are kept in the archive");
    settled(&rest).await;

    // A cold start from snapshot and segments, by those who followed the trimming and by those who did not.
    let before = status(&rest).await;
    let instances: Vec<String> = cluster.of("scheduler").iter().map(|it| it.instance.clone()).collect();
    instances
        .iter()
        .for_each(|instance| cluster.instance(instance).process.kill());
    for instance in &instances {
        cluster.revive(instance).await;
    }
    eventually(PATIENCE, || leader(&rest)).await;
    let after = status(&rest).await;
    assert_eq!(
        (&after["taskCount"], &before["taskCount"]),
        (&before["taskCount"], &json!((rounds * 300).to_string()))
    );
    let found = rest
        .get("/api/v1/tasks?pageSize=1000&state=STATE_SUCCEEDED")
        .await
        .json();
    assert_eq!(
        found["tasks"].as_array().map(Vec::len),
        Some(1000),
        "records outlive their segments"
    );
    submit(&rest, "round-0", 300, 1_000).await;
    assert_eq!(
        status(&rest).await["taskCount"],
        before["taskCount"],
        "request ids outlive them too"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_resigns_with_its_last_batch() {
    let _exclusive = exclusive().await;
    // Long enough that a signal finds a batch which waits for its time.
    let mut cluster = with(SMALL, "LEPTON_JOURNAL__APPEND_SPACING", "200ms").await;
    let load = Load::start(
        &gateways(&cluster),
        Plan {
            rest: Duration::ZERO,
            ..Plan::FULL
        },
    );
    for turn in 1..=3 {
        load.reached(turn * 1_000).await;
        let instance = cluster.of("scheduler")[0].instance.clone();
        let process = &mut cluster.instance(&instance).process;
        process.terminate();
        let status = process.end().await;
        let said = process.stderr();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(said.contains("resigned") && !said.contains("leads no more"), "{said}");
        cluster.revive(&instance).await;
    }
    load.done().await;
    settled(&cluster.rest(0)).await;
}
