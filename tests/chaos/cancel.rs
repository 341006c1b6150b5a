//! A cancel reaches the code that runs: the slot is free and the processor is quiet soon after.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use lepton_tests::mesh::{Options, Up};
use lepton_tests::process::{children, cpu_used};
use lepton_tests::rest::Rest;
use lepton_tests::wait::eventually;
use serde_json::json;

use crate::audit::text;
use crate::serial::{PATIENCE, Watch, exclusive};

/// Rows of the task.
const ROWS: u32 = 1_000_000;
/// How long slot and processor may take to be free.
const FREE_MAX: Duration = Duration::from_secs(10);
/// The processor time of a worker at work within one look, and of one at rest.
const LOOK: Duration = Duration::from_millis(500);
const QUIET: Duration = Duration::from_millis(100);
/// The processor time after which the task is known to be in full swing.
const WORKS: Duration = Duration::from_millis(300);
/// What is used after a cancel is less than this part of what a whole run takes.
const SHARE: u32 = 4;

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

/// Waits until another task has had the slot; gives the time since the cancel.
async fn free_slot(rest: &Rest, cancelled: Watch) -> Duration {
    let next = rest
        .submit("/api/v1/tasks", &json!({"kind": "echo", "input": "next"}))
        .await;
    let path = format!("/api/v1/tasks/{}:wait?timeout=60s", text(&next, "id"));
    let next = rest.get(&path).await.json();
    assert_eq!(next["state"], "STATE_SUCCEEDED", "the only slot is free");
    cancelled.elapsed()
}

/// The processor time of the same task when nobody cancels it.
async fn uncancelled(rest: &Rest, worker: u32) -> Duration {
    let before = cpu_used(worker);
    let task = rest.post("/api/v1/tasks", body()).await;
    assert_eq!(task.status, 200, "{}", task.text());
    let path = format!("/api/v1/tasks/{}", text(&task.json(), "id"));
    eventually(PATIENCE * 2, || async {
        rest.get(&format!("{path}:wait?timeout=30s")).await.json()["state"] == "STATE_SUCCEEDED"
    })
    .await;
    cpu_used(worker).saturating_sub(before)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_analysis_of_a_million_rows_stops() {
    let _exclusive = exclusive().await;
    let more = ["--slots", "1"].map(str::to_owned).to_vec();
    let up = Up::start(Options {
        workers: 1,
        more,
        ..Options::default()
    })
    .await;
    let rest = up.rest();
    let worker = children(up.process.pid())[0].0;
    let whole = uncancelled(&rest, worker).await;
    // The only slot is taken until the analysis is submitted, so that its start is seen.
    let gate = json!({"kind": "echo", "input": {"delay_ms": 600_000}});
    let gate = rest.submit("/api/v1/tasks", &gate).await;
    let task = rest.post("/api/v1/tasks", body()).await;
    assert_eq!(task.status, 200, "{}", task.text());
    let id = text(&task.json(), "id").to_owned();
    let before = cpu_used(worker);
    let opened = rest
        .post(&format!("/api/v1/tasks/{}:cancel", text(&gate, "id")), "{}")
        .await;
    assert_eq!(opened.status, 200, "{}", opened.text());
    eventually(PATIENCE, || async { cpu_used(worker).saturating_sub(before) > WORKS }).await;

    let (cancelled, at_cancel) = (Watch::start(), cpu_used(worker));
    let path = format!("/api/v1/tasks/{id}:cancel");
    // The answer shows the whole input again; slot and processor do not wait for that.
    let (answer, slot, processor) = tokio::join!(rest.post(&path, "{}"), free_slot(&rest, cancelled), async {
        eventually(PATIENCE, || async { used_in_a_look(worker).await < QUIET }).await;
        cancelled.elapsed()
    });
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.json()["state"],
        "STATE_CANCELLED",
        "it had not ended when it was cancelled"
    );
    let more = cpu_used(worker).saturating_sub(at_cancel);
    println!("cancel: the slot was free after {slot:.1?}, the processor quiet after {processor:.1?}");
    println!("cancel: {more:.1?} of the processor after it, where a whole run takes {whole:.1?}");
    assert!(
        more < whole / SHARE,
        "the code that ran heard of it: {more:?} of {whole:?}"
    );
    assert!(slot < FREE_MAX && processor < FREE_MAX, "{slot:?}, {processor:?}");
    let task = rest.get(&format!("/api/v1/tasks/{id}")).await.json();
    assert_eq!(task["state"], "STATE_CANCELLED", "an ended task never changes");
}
