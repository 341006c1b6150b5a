//! An etcd that was restored from an older backup: whoever saw the newer state keeps anybody from leading on it, until the
//! loss is accepted. Who only says to have seen more keeps nobody.

use std::fs;
use std::path::{Path, PathBuf};

use lepton_proto::journal::v1::Mark;
use lepton_tests::mesh::{Cluster, Sizes};
use lepton_tests::process::Process;
use lepton_tests::rest::Rest;
use lepton_tests::wait::eventually;
use prost::Message as _;
use serde_json::{Value, json};

use crate::audit::{Audit, settled, text};
use crate::fake_worker::{FakeWorker, Holds};
use crate::serial::{PATIENCE, exclusive};

const SIZES: Sizes = Sizes {
    gateways: 1,
    schedulers: 1,
    workers: 1,
    monitors: 0,
};
const REFUSED: &str = "refused to lead";
const LEADS: &str = "role: leading";
/// More than a journal keeps inline.
const LARGE: usize = 8_192;
/// How far ahead a made-up mark is.
const AHEAD: u64 = 1_000_000;

async fn submit(rest: &Rest, count: u32) {
    for number in 0..count {
        rest.submit("/api/v1/tasks", &json!({"kind": "echo", "input": number}))
            .await;
    }
    settled(rest).await;
}

async fn submit_large(rest: &Rest, request: &str) {
    let input = json!({"text": "7".repeat(LARGE)});
    let task = json!({"kind": "echo", "requestId": request, "input": input});
    rest.submit("/api/v1/tasks", &task).await;
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
    submit_large(&rest, "large").await;
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
    assert!(!process.stderr().contains(LEADS), "{}", process.stderr());
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

/// `lepton restore` on this etcd: its exit code, and what it prints on stdout and stderr.
async fn restore(cluster: &Cluster, more: &[&str]) -> (Option<i32>, String, String) {
    let etcd = format!("http://{}", cluster.etcd.endpoints()[0]);
    let arguments: Vec<String> = ["--output", "json", "restore", "--etcd", &etcd]
        .iter()
        .chain(more)
        .map(ToString::to_string)
        .collect();
    let mut process = Process::start("lepton", &arguments);
    let status = process.end().await;
    (status.code(), process.stdout(), process.stderr())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_that_is_accepted_lets_the_mesh_go_on() {
    let _exclusive = exclusive().await;
    let (mut cluster, scheduler, files) = restored("gateway").await;
    let refusing = cluster.relaunch(&scheduler);
    says(&refusing, REFUSED).await;

    let (code, _, refusal) = restore(&cluster, &[]).await;
    assert_eq!(code, Some(1), "{refusal}");
    assert!(
        refusal.contains("LOSS_NOT_ACCEPTED") && refusal.contains("--accept-loss"),
        "{refusal}"
    );
    let (code, answer, problem) = restore(&cluster, &["--accept-loss"]).await;
    assert_eq!(code, Some(0), "{problem}");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_ne!(text(&answer, "incarnation"), text(&answer, "incarnationBefore"));

    // Who runs goes on by itself: the scheduler that refused, and the gateway that kept it from leading.
    says(&refusing, LEADS).await;
    let worker = cluster.of("worker")[0].instance.clone();
    cluster.revive(&worker).await;
    let rest = cluster.rest(0);
    let taken = || async {
        let body = json!({"kind": "echo", "requestId": "after"}).to_string();
        rest.post("/api/v1/tasks", body).await.status.is_success()
    };
    eventually(PATIENCE, taken).await;
    submit_large(&rest, "large-after").await;
    submit(&rest, 30).await;
    let page = rest.get("/api/v1/tasks?pageSize=1000").await.json();
    let tasks = page["tasks"].as_array().expect("a list");
    for request in ["large", "large-after"] {
        let task = tasks
            .iter()
            .find(|task| task["requestId"] == request)
            .expect("it is kept");
        let task = rest.get(&format!("/api/v1/tasks/{}", text(task, "id"))).await.json();
        assert_eq!(task["state"], "STATE_SUCCEEDED", "{request}");
        let kept = task["output"]["text"].as_str().map(str::len);
        assert_eq!(kept, Some(LARGE), "{request}: the blob store is still this mesh's");
    }
    Audit::of(&cluster.etcd.endpoints()[0]).await;

    let (code, _, refusal) = restore(&cluster, &["--accept-loss"]).await;
    assert_eq!(code, Some(1), "{refusal}");
    assert!(refusal.contains("LEADER_PRESENT"), "{refusal}");
    // A start from the files, which hold a mark of the new incarnation by now.
    let mark = files.join("lepton.mark");
    let now = text(&answer, "incarnation");
    let of_now = || {
        let bytes = fs::read(&mark).unwrap_or_default();
        std::future::ready(Mark::decode(bytes.as_slice()).is_ok_and(|mark| mark.incarnation == now))
    };
    eventually(PATIENCE, of_now).await;
    drop(refusing);
    let again = cluster.relaunch(&scheduler);
    says(&again, LEADS).await;
    submit(&rest, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_that_a_peer_makes_up_stop_nothing() {
    let _exclusive = exclusive().await;
    let mut cluster = Cluster::start(SIZES).await;
    let rest = cluster.rest(0);
    submit(&rest, 3).await;
    let member = cluster.of("scheduler")[0];
    let (leader, admin, scheduler) = (member.address.clone(), member.admin.clone(), member.instance.clone());
    let epoch = rest.get("/api/v1/journal").await.json()["epoch"].clone();

    let genuine = FakeWorker::open(&leader, Holds::default()).await.mark;
    assert!(!genuine.mac.is_empty(), "the leader seals its marks");
    for mac in [genuine.mac.clone(), Vec::new().into(), vec![7; 32].into()] {
        let claim = Mark {
            segment: genuine.segment + AHEAD,
            revision: genuine.revision + AHEAD,
            mac,
            ..genuine.clone()
        };
        let holds = Holds {
            mark: Some(claim),
            ..Holds::default()
        };
        // A leader compares the mark before it welcomes.
        FakeWorker::open(&leader, holds).await;
    }
    submit(&rest, 3).await;
    assert_eq!(rest.get("/api/v1/journal").await.json()["epoch"], epoch, "it leads on");
    let metrics = Rest::at(&admin).get("/metrics").await.body;
    let metrics = String::from_utf8_lossy(&metrics);
    let marks: Vec<&str> = metrics
        .lines()
        .filter(|line| line.starts_with("lepton_scheduler_marks"))
        .collect();
    let counted = [
        "lepton_scheduler_marks_ignored_total{} 3",
        "lepton_scheduler_marks_ahead_total{} 0",
    ];
    assert_eq!(marks, counted);
    let log = cluster.instance(&scheduler).process.stderr();
    assert!(log.contains("ignored a mark") && log.contains("played"), "{log}");

    // Nothing of it is on disk.
    cluster.instance(&scheduler).process.kill();
    cluster.revive(&scheduler).await;
    submit(&rest, 3).await;
}
