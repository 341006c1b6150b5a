//! A cancel reaches the code that runs: the slot is free and the processor is quiet soon after.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use lepton_tests::mesh::{Options, Up};
use lepton_tests::process::{children, cpu_used};
use lepton_tests::wait::eventually;
use serde_json::json;

use crate::audit::text;
use crate::turn::{PATIENCE, Watch, turn};

/// Rows of the task.
const ROWS: u32 = 1_000_000;
/// How long slot and processor may take to be free.
const FREE_MAX: Duration = Duration::from_secs(10);
/// The processor time of a worker at work within one look, and of one at rest.
const LOOK: Duration = Duration::from_millis(500);
const QUIET: Duration = Duration::from_millis(100);

/// A submit of so many rows of three columns.
fn body() -> Bytes {
    let mut text = String::from(r#"{"kind":"analyze","input":{"target":"c","data":["#);
    for row in 0..ROWS {
        let comma = if row == 0 { "" } else { "," };
        let (a, b, c) = (row % 997, row % 89, row % 7_919);
        write!(text, "{comma}{{\"a\":{a}.5,\"b\":{b}.25,\"c\":{c}.125}}").expect("text takes everything");
    }
    text.push_str("]}}");
    text.into()
}

/// The processor time that a process uses within one look.
async fn used_in_a_look(pid: u32) -> Duration {
    let before = cpu_used(pid);
    tokio::time::sleep(LOOK).await;
    cpu_used(pid).saturating_sub(before)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_analysis_of_a_million_rows_stops() {
    let _turn = turn().await;
    let more = ["--slots", "1"].map(str::to_owned).to_vec();
    let up = Up::start(Options {
        workers: 1,
        more,
        ..Options::default()
    })
    .await;
    let rest = up.rest();
    let worker = children(up.process.pid())[0].0;
    let before = cpu_used(worker);
    let task = rest.post("/api/v1/tasks", body()).await;
    assert_eq!(task.status, 200, "{}", task.text());
    let id = text(&task.json(), "id").to_owned();
    // Its own work, not the fetching of its input: the worker computes.
    eventually(PATIENCE, || async {
        cpu_used(worker).saturating_sub(before) > Duration::from_millis(500)
    })
    .await;
    let state = rest.get(&format!("/api/v1/tasks/{id}")).await.json();
    assert_eq!(state["state"], "STATE_RUNNING", "it must not have ended yet");

    let cancelled = Watch::start();
    let answer = rest.post(&format!("/api/v1/tasks/{id}:cancel"), "{}").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["state"], "STATE_CANCELLED");
    let next = rest
        .submit("/api/v1/tasks", &json!({"kind": "echo", "input": "next"}))
        .await;
    let next = rest
        .get(&format!("/api/v1/tasks/{}:wait?timeout=30s", text(&next, "id")))
        .await
        .json();
    let slot = cancelled.elapsed();
    assert_eq!(next["state"], "STATE_SUCCEEDED", "the only slot is free");
    eventually(PATIENCE, || async { used_in_a_look(worker).await < QUIET }).await;
    let processor = cancelled.elapsed();
    println!("cancel: the slot was free after {slot:.1?}, the processor quiet after {processor:.1?}");
    assert!(slot < FREE_MAX && processor < FREE_MAX, "{slot:?}, {processor:?}");
    let task = rest.get(&format!("/api/v1/tasks/{id}")).await.json();
    assert_eq!(task["state"], "STATE_CANCELLED", "an ended task never changes");
}
