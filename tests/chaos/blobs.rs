//! The directory of the blob store goes away from a running mesh, as a share that is unmounted: what needs it is refused or
//! waits, nothing is written beside it, and nothing that was acknowledged is lost.

use std::fs;
use std::path::Path;
use std::time::Duration;

use lepton_tests::mesh::{Cluster, Sizes};
use lepton_tests::rest::{Answer, Rest};
use lepton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::audit::{settled, text};
use crate::serial::{PATIENCE, Watch, exclusive};

const SIZES: Sizes = Sizes {
    gateways: 1,
    schedulers: 1,
    workers: 2,
    monitors: 0,
};
/// Tasks that are acknowledged before the store goes away.
const TASKS: usize = 20;
/// How long the store is away.
const AWAY: Duration = Duration::from_secs(3);

/// Submits a task whose input and output lie in the blob store.
async fn submit(rest: &Rest, request: &str, bytes: usize) -> Answer {
    let input = json!({"text": "7".repeat(bytes), "delay_ms": 300});
    let body = json!({"kind": "echo", "input": input, "requestId": request}).to_string();
    rest.post("/api/v1/tasks", body).await
}

fn is_refused(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(
        answer.reason().as_deref(),
        Some("BLOB_UNAVAILABLE"),
        "{}",
        answer.text()
    );
    assert!(answer.detail("RetryInfo").is_some(), "{}", answer.text());
}

fn is_empty(directory: &Path) -> bool {
    directory.read_dir().expect("a directory").next().is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_directory_that_goes_away_loses_nothing() {
    let _exclusive = exclusive().await;
    let mut cluster = Cluster::start(SIZES).await;
    let rest = cluster.rest(0);
    let blobs = cluster.directory().join("blobs");
    let elsewhere = cluster.directory().join("elsewhere");
    let mut acknowledged = Vec::new();
    for number in 0..TASKS {
        let answer = submit(&rest, &format!("before-{number}"), 8_192).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        acknowledged.push(text(&answer.json(), "id").to_owned());
    }

    fs::rename(&blobs, &elsewhere).expect("it goes away");
    is_refused(&submit(&rest, "away", 8_192).await);
    assert!(!blobs.exists(), "nothing is made in its place");
    // The mount point is left where a share is unmounted.
    fs::create_dir(&blobs).expect("the mount point");
    let watch = Watch::start();
    while watch.elapsed() < AWAY {
        is_refused(&submit(&rest, "away", 8_192).await);
        let small = submit(&rest, "small", 1).await;
        assert_eq!(small.status, 200, "{}", small.text());
    }
    // A worker that starts meanwhile does not take the empty directory for the store.
    let worker = cluster.of("worker")[1].instance.clone();
    cluster.instance(&worker).process.kill();
    let mut started = cluster.relaunch(&worker);
    eventually(PATIENCE, || {
        std::future::ready(started.stderr().contains("waiting for the blob store"))
    })
    .await;
    assert!(is_empty(&blobs), "nothing is written beside the store");

    fs::remove_dir(&blobs).expect("it is empty");
    fs::rename(&elsewhere, &blobs).expect("it is back");
    started.ready().await;
    let again = || async {
        let answer = submit(&rest, "away", 8_192).await;
        (answer.status == 200).then(|| text(&answer.json(), "id").to_owned())
    };
    acknowledged.push(eventually(PATIENCE, again).await);
    settled(&rest).await;
    for task in acknowledged {
        let task: Value = rest.get(&format!("/api/v1/tasks/{task}")).await.json();
        assert_eq!(task["state"], "STATE_SUCCEEDED", "{task}");
        assert_eq!(task["output"]["text"].as_str().map(str::len), Some(8_192));
    }
}
