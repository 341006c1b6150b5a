//! `lepton trace`.

use std::process::{Command, Stdio};

use lepton_tests::process::binary;
use serde_json::json;

use super::{fresh, post};
use crate::shared_mesh::shared;

/// Calls `lepton trace`; gives exit code, stdout and stderr.
async fn trace(gateway: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(binary("lepton"));
    command
        .arg("trace")
        .args(arguments)
        .env("LEPTON_ADDRESS", gateway)
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("nobody cancels it").expect("the program can be started");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_is_on_its_way_is_waited_for_and_drawn() {
    let up = shared().await;
    let (rest, id) = (up.rest(), fresh(21));
    post(&rest, &id, "/api/v1/analyze", &json!({"data": [{"a": 1}]})).await;
    let (code, drawn, complaint) = trace(&up.gateway, &[&id, "--wait", "20s"]).await;
    assert_eq!((code, complaint.as_str()), (Some(0), ""), "{drawn}");
    let lines: Vec<&str> = drawn.lines().collect();
    assert!(lines[0].contains(&id) && lines[0].contains(" spans"), "{drawn}");
    assert!(lines[1..].iter().any(|line| line.contains('█')), "{drawn}");
    assert!(!drawn.contains('\u{1b}'), "no colours where nobody sees them: {drawn}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_a_task_is_drawn_below_the_one_before() {
    let up = shared().await;
    let (rest, id) = (up.rest(), fresh(24));
    let task = post(&rest, &id, "/api/v1/tasks", &json!({"kind": "echo", "input": 1})).await;
    let task = task.json()["id"].as_str().expect("an id").to_owned();
    let done = rest.get(&format!("/api/v1/tasks/{task}:wait?timeout=30s")).await.json();
    assert_eq!(done["state"], "STATE_SUCCEEDED");
    // At once: the command waits until all of it has come.
    let (code, drawn, complaint) = trace(&up.gateway, &[&id, "--wait", "20s"]).await;
    assert_eq!((code, complaint.as_str()), (Some(0), ""), "{drawn}");
    let place = |step: &str| {
        let at = drawn.lines().position(|line| line.contains(step));
        at.unwrap_or_else(|| panic!("no {step}: {drawn}"))
    };
    assert_eq!(place("gateway POST /api/v1/tasks"), 1, "below the head: {drawn}");
    for step in ["journal commit", "queue wait", "process echo", "result commit"] {
        assert!(place(step) > 1, "{drawn}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_exactly_the_rest_body() {
    let up = shared().await;
    let (rest, id) = (up.rest(), fresh(22));
    post(&rest, &id, "/api/v1/analyze", &json!({"data": [{"a": 1}]})).await;
    super::spans(&rest, &id, |spans| spans.len() >= 3).await;
    let (code, body, _) = trace(&up.gateway, &[&id, "--output", "json"]).await;
    let rest = rest.get(&format!("/api/v1/traces/{id}")).await.text();
    assert_eq!((code, body.trim_end()), (Some(0), rest.trim_end()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_not_understood_is_refused() {
    let up = shared().await;
    let (code, said, complaint) = trace(&up.gateway, &[&fresh(23), "--wait", "0s"]).await;
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert!(complaint.starts_with("error: TRACE_NOT_FOUND: "), "{complaint}");
    let (code, _, complaint) = trace(&up.gateway, &["nonsense"]).await;
    assert_eq!(code, Some(1), "{complaint}");
    let (code, _, complaint) = trace(&up.gateway, &[&fresh(23), "--wait", "soon"]).await;
    assert_eq!(code, Some(2), "{complaint}");
}
