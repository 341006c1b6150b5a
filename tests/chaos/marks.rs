//! An etcd that was restored from an older backup: whoever saw the newer state keeps anybody from leading on it.

use std::fs;
use std::path::{Path, PathBuf};

use lepton_proto::journal::v1::Mark;
use lepton_tests::mesh::{Cluster, Sizes};
use lepton_tests::process::Process;
use lepton_tests::rest::Rest;
use lepton_tests::wait::eventually;
use prost::Message as _;
use serde_json::{Value, json};

use crate::audit::{settled, text};
use crate::serial::{PATIENCE, exclusive};

const SIZES: Sizes = Sizes {
    gateways: 1,
    schedulers: 1,
    workers: 1,
    monitors: 0,
};
const REFUSED: &str = "refused to lead";

async fn submit(rest: &Rest, count: u32) {
    for number in 0..count {
        rest.submit("/api/v1/tasks", &json!({"kind": "echo", "input": number}))
            .await;
    }
    settled(rest).await;
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in from.read_dir().expect("a directory").flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &target);
        } else {
            fs::copy(source, target).expect("a copy");
        }
    }
}

/// The furthest segment that the scheduler has written down.
fn kept(file: &Path) -> u64 {
    let bytes = fs::read(file).unwrap_or_default();
    Mark::decode(bytes.as_slice()).map_or(0, |mark| mark.segment)
}

async fn says(process: &Process, what: &str) {
    eventually(PATIENCE, || std::future::ready(process.stderr().contains(what))).await;
}

/// A mesh whose etcd has been put back to an older state, and where its scheduler kept its files.
async fn restored(keep: &str) -> (Cluster, String, PathBuf) {
    let mut cluster = Cluster::start(SIZES).await;
    let rest = cluster.rest(0);
    submit(&rest, 30).await;
    let backup = cluster.directory().join("backup");
    let data = cluster.etcd.data(0);
    cluster.etcd.kill(0);
    copy(&data, &backup);
    cluster.etcd.restart(0).await;
    let body = json!({"kind": "echo", "requestId": "again"}).to_string();
    let taken = || async { rest.post("/api/v1/tasks", body.clone()).await.status.is_success() };
    eventually(PATIENCE, taken).await;
    submit(&rest, 30).await;
    let last: Value = rest.get("/api/v1/journal").await.json();
    let last: u64 = text(&last, "lastSegment").parse().expect("a number");
    let scheduler = cluster.of("scheduler")[0].instance.clone();
    let files = cluster.directory().join(&scheduler).join("scheduler");
    let mark = files.join("lepton.mark");
    eventually(PATIENCE, || std::future::ready(kept(&mark) >= last)).await;
    let others: Vec<String> = ["scheduler", "gateway", "worker"]
        .iter()
        .filter(|service| **service != keep)
        .map(|service| cluster.of(service)[0].instance.clone())
        .collect();
    others
        .iter()
        .for_each(|instance| cluster.instance(instance).process.kill());
    cluster.etcd.kill(0);
    fs::remove_dir_all(&data).expect("the newer state goes");
    copy(&backup, &data);
    cluster.etcd.restart(0).await;
    (cluster, scheduler, files)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_remembers_across_restarts_what_it_saw() {
    let _exclusive = exclusive().await;
    let (cluster, scheduler, _) = restored("nobody").await;
    let process = cluster.relaunch(&scheduler);
    says(&process, REFUSED).await;
    assert!(!process.stderr().contains("role: leading"), "{}", process.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_saw_more_keeps_a_fresh_scheduler_from_leading() {
    let _exclusive = exclusive().await;
    let (cluster, scheduler, files) = restored("gateway").await;
    // As on a machine that is new: nothing of its own warns it.
    fs::remove_dir_all(files).expect("the scheduler's files go");
    let process = cluster.relaunch(&scheduler);
    // The gateway shows what it has seen with whatever it asks.
    let answer = cluster
        .rest(0)
        .post("/api/v1/tasks", json!({"kind": "echo"}).to_string())
        .await;
    assert_eq!(answer.status.as_u16(), 503, "{}", answer.text());
    says(&process, REFUSED).await;
}
