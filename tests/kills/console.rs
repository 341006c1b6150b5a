//! The console shows who lives, and what does not.

use std::time::Duration;

use lepton_tests::mesh::{Cluster, Sizes, Up, nodes};
use lepton_tests::process::{children, signal};
use lepton_tests::rest::Rest;
use lepton_tests::wait::eventually;
use serde_json::Value;

use crate::audit::text;
use crate::turn::{PATIENCE, Watch, turn};

/// How long the monitor may take to notice.
const NOTICE_MAX: Duration = Duration::from_secs(20);

async fn page(console: &Rest) -> String {
    let answer = console.get("/").await;
    assert_eq!(answer.status, 200);
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// Whether the page has a row for this instance.
fn lists(page: &str, instance: &str) -> bool {
    page.contains(&format!("<tr id=\"{instance}\">"))
}

/// The incident about this instance, in this state.
async fn incident(rest: &Rest, subject: &str, state: &str) -> Option<Value> {
    let incidents = rest.get("/api/v1/incidents").await.json();
    let is_it = |incident: &&Value| incident["subject"] == subject && incident["state"] == state;
    incidents["incidents"].as_array()?.iter().find(is_it).cloned()
}

/// Waits until the console and the registry list exactly the same instances, so many.
async fn complete(rest: &Rest, console: &Rest, count: usize) -> Vec<String> {
    let all = eventually(PATIENCE, || async {
        let nodes = nodes(rest).await;
        let ids: Vec<String> = nodes.iter().map(|node| text(node, "id").to_owned()).collect();
        let page = page(console).await;
        (ids.len() == count && ids.iter().all(|id| lists(&page, id))).then_some(ids)
    });
    all.await
}

/// Waits until the loss of an instance is seen everywhere.
async fn lost(rest: &Rest, console: &Rest, instance: &str) -> Duration {
    let killed = Watch::start();
    let open = eventually(PATIENCE, || incident(rest, instance, "STATE_OPEN")).await;
    let noticed = killed.elapsed();
    assert_eq!(text(&open, "rule"), "instance-gone", "{open}");
    assert!(text(&open, "summary").contains(instance), "{open}");
    eventually(PATIENCE, || async { !lists(&page(console).await, instance) }).await;
    eventually(PATIENCE, || async {
        !nodes(rest).await.iter().any(|node| node["id"] == instance)
    })
    .await;
    noticed
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_dies_is_named_until_it_is_back() {
    let _turn = turn().await;
    let sizes = Sizes {
        gateways: 1,
        schedulers: 2,
        workers: 2,
        monitors: 1,
    };
    let mut cluster = Cluster::start(sizes).await;
    let (rest, console) = (cluster.rest(0), Rest::at(&cluster.of("monitor")[0].address));
    complete(&rest, &console, 6).await;
    assert!(incident(&rest, "worker-3", "STATE_OPEN").await.is_none());
    let victim = cluster.of("worker")[0].instance.clone();
    cluster.instance(&victim).process.kill();
    let noticed = lost(&rest, &console, &victim).await;
    let page = page(&console).await;
    assert!(
        page.contains("OPEN") && page.contains(&victim),
        "the page names it: {page}"
    );
    cluster.revive(&victim).await;
    let closed = eventually(PATIENCE, || incident(&rest, &victim, "STATE_CLOSED")).await;
    assert!(closed["closeTime"].is_string(), "{closed}");
    assert!(incident(&rest, &victim, "STATE_OPEN").await.is_none());
    complete(&rest, &console, 6).await;
    println!("a worker died: the incident was open after {noticed:.1?}");
    assert!(noticed < NOTICE_MAX, "{noticed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_up_is_replaced_and_the_incident_closes() {
    let _turn = turn().await;
    let up = Up::fresh().await;
    let (rest, console) = (up.rest(), Rest::at(&up.console));
    let before = complete(&rest, &console, 5).await;
    let workers = children(up.process.pid());
    signal(workers[0].0, "KILL");
    let gone = eventually(PATIENCE, || async {
        let incidents = rest.get("/api/v1/incidents").await.json();
        let newest = incidents["incidents"].as_array()?.first()?.clone();
        Some(text(&newest, "subject").to_owned())
    });
    let gone = gone.await;
    assert!(
        before.contains(&gone) && gone.starts_with("worker-"),
        "{gone} of {before:?}"
    );
    eventually(PATIENCE, || incident(&rest, &gone, "STATE_CLOSED")).await;
    let after = complete(&rest, &console, 5).await;
    assert!(!after.contains(&gone), "another took its place: {after:?}");
}
