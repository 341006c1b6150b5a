//! Versions change under load and no request fails: each is answered by one version or the other, never by a mixture.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lepton_tests::mesh::Up;
use lepton_tests::rest::Rest;
use lepton_tests::venv::{models, run};
use lepton_tests::wait::eventually;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Clients that ask side by side.
const CLIENTS: u32 = 20;
/// How often each asks: 200 requests a second in all, as far as the machine goes.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// Answers that are seen between two changes.
const ANSWERS_BETWEEN: u64 = 200;
/// How long such a number may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the clients have seen.
#[derive(Debug, Default)]
struct Seen {
    answers: AtomicU64,
    over: AtomicBool,
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_change_under_load_and_no_request_fails() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut script = models().script("compat_versions.py");
    script.arg(folder.path());
    let written = tokio::task::spawn_blocking(move || run(script, b"")).await;
    written.expect("the script does not panic");
    for version in 1..=2 {
        let file = std::fs::read(folder.path().join(format!("{version}.onnx"))).expect("the script wrote it");
        let pushed = changed(&rest, "push", file).await;
        assert_eq!(pushed["version"], version);
    }
    deploy(&rest, 1).await;
    let seen = Arc::new(Seen::default());
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(ask(mesh.rest(), Arc::clone(&seen)));
    }
    more(&seen).await;
    deploy(&rest, 2).await;
    for expected in [1, 2, 1] {
        more(&seen).await;
        let model = changed(&rest, "rollback", "{}").await;
        assert_eq!(model["deployedVersion"], expected);
    }
    more(&seen).await;
    seen.over.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.expect("a request failed");
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

/// Asks until it is over. Panics at the first answer that is wrong or none.
async fn ask(rest: Rest, seen: Arc<Seen>) {
    let mut turns = interval(ASK_EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let request = json!({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [0]}]}).to_string();
    while !seen.over.load(Ordering::Relaxed) {
        turns.tick().await;
        let answer = rest.post("/v2/models/steps/infer", request.clone()).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
        let answer = answer.json();
        let number = answer["outputs"][0]["data"][0].as_f64();
        let version = answer["model_version"].as_str().and_then(|text| text.parse().ok());
        assert!(number.is_some() && number == version, "{answer}");
        seen.answers.fetch_add(1, Ordering::Relaxed);
    }
}
