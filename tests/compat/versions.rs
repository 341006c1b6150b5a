//! Versions change under load and no request fails: each is answered by one version or the other, never by a mixture,
//! also while a former version leaves the memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lepton_core::clock::Clock;
use lepton_tests::mesh::{Cluster, Sizes};
use lepton_tests::rest::Rest;
use lepton_tests::venv::{models, run};
use lepton_tests::wait::eventually;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// 200 requests a second, whether or not the ones before are answered.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// So many may be without an answer; a machine that is not fast enough gets the next one only after an answer.
const UNANSWERED_MAX: usize = 64;
/// Answers that are seen between two changes.
const ANSWERS_BETWEEN: u64 = 200;
/// How long such a number may take, and how long a former version may stay.
const PATIENCE: Duration = Duration::from_secs(60);
/// Two workers, which take up and let go each in its own time.
const SIZES: Sizes = Sizes {
    gateways: 1,
    schedulers: 1,
    workers: 2,
    monitors: 0,
};

/// What the clients have done and seen.
#[derive(Debug, Default)]
struct Seen {
    sent: AtomicU64,
    answers: AtomicU64,
    over: AtomicBool,
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_change_under_load_and_no_request_fails() {
    let cluster = Cluster::start(SIZES).await;
    let rest = cluster.rest(0);
    push_both(&rest).await;
    deploy(&rest, 1).await;
    let (seen, clock) = (Arc::new(Seen::default()), Clock::system());
    let began = clock.monotonic();
    let mut load = JoinSet::new();
    load.spawn(ask(rest.clone(), Arc::clone(&seen)));
    more(&seen).await;
    deploy(&rest, 2).await;
    for expected in [1, 2, 1] {
        more(&seen).await;
        let model = changed(&rest, "rollback", "{}").await;
        assert_eq!(model["deployedVersion"], expected);
    }
    // The former version leaves the memory of every worker, and comes back.
    eventually(PATIENCE, || held(&cluster, 1)).await;
    more(&seen).await;
    deploy(&rest, 2).await;
    assert!(!held(&cluster, 1).await, "the former version stays a while");
    eventually(PATIENCE, || held(&cluster, 1)).await;
    more(&seen).await;
    seen.over.store(true, Ordering::Relaxed);
    load.join_all().await;
    let (sent, took) = (seen.sent.load(Ordering::Relaxed), clock.monotonic() - began);
    assert_eq!(seen.answers.load(Ordering::Relaxed), sent, "each is answered");
    let rate = sent as f64 / took.as_secs_f64();
    println!("{sent} requests in {took:.1?}, {rate:.0} a second, none failed");
}

async fn push_both(rest: &Rest) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut script = models().script("compat_versions.py");
    script.arg(folder.path());
    let written = tokio::task::spawn_blocking(move || run(script, b"")).await;
    written.expect("the script does not panic");
    for version in 1..=2 {
        let file = std::fs::read(folder.path().join(format!("{version}.onnx"))).expect("the script wrote it");
        let pushed = changed(rest, "push", file).await;
        assert_eq!(pushed["version"], version);
    }
}

async fn deploy(rest: &Rest, version: u32) {
    let model = changed(rest, "deploy", json!({ "version": version }).to_string()).await;
    assert_eq!(model["deployedVersion"], version);
}

async fn changed(rest: &Rest, action: &str, body: impl Into<bytes::Bytes>) -> Value {
    let answer = rest.post(&format!("/api/v1/models/steps:{action}"), body).await;
    assert_eq!(answer.status.as_u16(), 200, "{action}: {}", answer.text());
    answer.json()
}

/// Waits for further answers.
async fn more(seen: &Seen) {
    let until = seen.answers.load(Ordering::Relaxed) + ANSWERS_BETWEEN;
    eventually(PATIENCE, || {
        std::future::ready(seen.answers.load(Ordering::Relaxed) >= until)
    })
    .await;
}

/// Whether every worker has so many versions in memory.
async fn held(cluster: &Cluster, versions: u32) -> bool {
    for worker in cluster.of("worker") {
        let metrics = Rest::at(&worker.admin).get("/metrics").await;
        let text = String::from_utf8_lossy(&metrics.body);
        let mut figures = text.lines().filter_map(|line| line.strip_prefix("lepton_models_ready"));
        let figure = figures
            .next()
            .and_then(|figure| figure.rsplit(' ').next()?.parse::<f64>().ok());
        let figure = figure.unwrap_or_else(|| panic!("no such figure: {text}"));
        if figure != f64::from(versions) {
            return false;
        }
    }
    true
}

/// Asks at its rate until it is over. Panics at an answer that is wrong or none.
async fn ask(rest: Rest, seen: Arc<Seen>) {
    let mut turns = interval(ASK_EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let unanswered = Arc::new(Semaphore::new(UNANSWERED_MAX));
    let mut asked = JoinSet::new();
    while !seen.over.load(Ordering::Relaxed) {
        turns.tick().await;
        let permit = Arc::clone(&unanswered).acquire_owned().await;
        let (rest, seen) = (rest.clone(), Arc::clone(&seen));
        seen.sent.fetch_add(1, Ordering::Relaxed);
        asked.spawn(async move {
            answered(&rest).await;
            seen.answers.fetch_add(1, Ordering::Relaxed);
            drop(permit);
        });
        while let Some(answer) = asked.try_join_next() {
            answer.expect("a request failed");
        }
    }
    asked.join_all().await;
}

/// Asks once, and asserts that one version has answered.
async fn answered(rest: &Rest) {
    let request = json!({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [0]}]});
    let answer = rest.post("/v2/models/steps/infer", request.to_string()).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    let answer = answer.json();
    let number = answer["outputs"][0]["data"][0].as_f64();
    let version = answer["model_version"].as_str().and_then(|text| text.parse().ok());
    assert!(number.is_some() && number == version, "{answer}");
}
