//! `lepton nodes` and `lepton incidents`, and `lepton bench tasks`.

use std::time::Duration;

use lepton_tests::wait::eventually;
use serde_json::Value;

use super::words;
use crate::shared_mesh::shared;

/// How long other tests may change what is compared.
const QUIET_MAX: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_the_rest_bodies() {
    let up = shared().await;
    for what in ["nodes", "incidents"] {
        let same = || async {
            let rest = up.rest().get(&format!("/api/v1/{what}")).await.text();
            let body = words(&up.gateway, &format!("{what} --output json")).await.body();
            body == rest
        };
        eventually(QUIET_MAX, same).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_get_tables() {
    let up = shared().await;
    let table = words(&up.gateway, "nodes").await.body();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["SERVICE", "ID", "ADDRESS", "STATE", "LEADS", "STARTED"]);
    let services: Vec<&str> = lines[1..].iter().map(|line| line[0]).collect();
    assert_eq!(
        services,
        ["gateway", "monitor", "scheduler", "worker", "worker"],
        "{table}"
    );
    let scheduler = &lines[3];
    assert_eq!(scheduler[3..5], ["ready", "epoch"], "the leader is marked: {table}");
    let incidents = words(&up.gateway, "incidents").await.body();
    assert!(
        incidents == "No incidents." || incidents.starts_with("STATE "),
        "{incidents}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_page_by_page() {
    let up = shared().await;
    let body = words(&up.gateway, "nodes --limit 2 --output json").await.body();
    let page: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(page["nodes"].as_array().map(Vec::len), Some(2), "{body}");
    let table = words(&up.gateway, "nodes --limit 2").await.body();
    let token = table
        .lines()
        .last()
        .and_then(|line| line.strip_prefix("more: --page-token "));
    let token = token.unwrap_or_else(|| panic!("no token: {table}"));
    assert_eq!(Some(token), page["nextPageToken"].as_str());
    let rest = words(&up.gateway, &format!("nodes --page-token {token}")).await.body();
    let services = rest.lines().skip(1).map(|line| line.split_whitespace().next());
    assert!(
        services.eq([Some("scheduler"), Some("worker"), Some("worker")]),
        "{rest}"
    );
    for list in ["incidents --limit 0", "model list --limit 1001"] {
        words(&up.gateway, list).await.refused(2, "CONFIG_INVALID");
    }
    words(&up.gateway, &format!("model list --limit 1 --page-token {token}"))
        .await
        .refused(1, "PAGE_TOKEN_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bench_counts_in_the_journal() {
    let up = shared().await;
    let line = "bench tasks --count 200 --concurrency 32 --output json";
    let body = words(&up.gateway, line).await.body();
    let figures: Value = serde_json::from_str(&body).expect("JSON");
    let wanted = [
        "count",
        "concurrency",
        "seconds",
        "acknowledgedPerS",
        "completedPerS",
        "resultMs",
        "lost",
        "duplicated",
    ];
    let mut places: Vec<usize> = Vec::new();
    for name in wanted {
        places.push(
            body.find(&format!("\"{name}\":"))
                .unwrap_or_else(|| panic!("no {name}: {body}")),
        );
    }
    assert!(places.is_sorted(), "{body}");
    assert_eq!(
        figures.as_object().map(serde_json::Map::len),
        Some(wanted.len()),
        "{body}"
    );
    let percentiles = figures["resultMs"].as_object().expect("percentiles");
    assert!(percentiles.keys().eq(["p50", "p99"]), "{body}");
    assert_eq!(figures["count"], 200);
    assert_eq!(figures["concurrency"], 32);
    assert_eq!(
        (&figures["lost"], &figures["duplicated"]),
        (&0.into(), &0.into()),
        "{body}"
    );
    let positive = |value: &Value| value.as_f64().is_some_and(|value| value > 0.0);
    let measured = [
        &figures["seconds"],
        &figures["acknowledgedPerS"],
        &figures["completedPerS"],
    ];
    assert!(measured.into_iter().chain(percentiles.values()).all(positive), "{body}");
    let table = words(&up.gateway, "bench tasks --count 5").await.body();
    assert!(
        table.lines().any(|line| line.split_whitespace().eq(["lost", "0"])),
        "{table}"
    );
    words(&up.gateway, "bench tasks --count 0")
        .await
        .refused(2, "CONFIG_INVALID");
}
