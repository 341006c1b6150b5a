//! `lepton task submit|get|list|cancel`: REST's bodies for programs, tables for people, reasons on stderr.

use std::fs;
use std::process::Command;

use lepton_tests::mesh::directory;
use lepton_tests::process::binary;
use serde_json::{Value, json};

use super::{lepton, run, words};
use crate::shared_mesh::shared;

const ABSENT: &str = "0190a1b2-0000-7000-8000-000000000000";

#[track_caller]
pub(super) fn id(task: &Value) -> &str {
    task["id"].as_str().unwrap_or_else(|| panic!("no id: {task}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submit_prints_what_rest_answers() {
    let up = shared().await;
    let input = r#"{"b":1,"a":[null,"x"]}"#;
    let line = [
        "task",
        "submit",
        "echo",
        input,
        "--request-id",
        "cli-once",
        "--output",
        "json",
    ];
    let task = lepton(&up.gateway, &line).await.json();
    let ended = words(&up.gateway, &format!("task wait {} --output json", id(&task))).await;
    assert_eq!(ended.json()["state"], "STATE_SUCCEEDED");

    let request = format!("{{\"kind\":\"echo\",\"requestId\":\"cli-once\",\"input\":{input}}}");
    let rest = up.rest().post("/api/v1/tasks", request).await.text();
    let again = lepton(&up.gateway, &line).await.body();
    assert_eq!(again, rest, "the same request id is the same task");
    assert!(
        again.contains(&format!("\"input\":{input}")),
        "as it was written: {again}"
    );
    let get = words(&up.gateway, &format!("task get {} --output json", id(&task))).await;
    let path = format!("/api/v1/tasks/{}", id(&task));
    assert_eq!(get.body(), up.rest().get(&path).await.text());

    let table = words(&up.gateway, &format!("task get {}", id(&task))).await.body();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "KIND", "STATE", "ATTEMPTS", "CREATED", "OUTCOME"]);
    assert_eq!(lines[1][..4], [id(&task), "echo", "succeeded", "1"], "{table}");
    assert_eq!(lines.len(), 2, "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_and_options_go_along() {
    let up = shared().await;
    let folder = directory();
    let file = folder.path().join("input.json");
    fs::write(&file, "{\"from\": \"a file\"}").expect("a file");
    let input = format!("@{}", file.display());
    let options = ["--priority", "5", "--timeout", "90s", "--max-attempts", "7", "--wait"];
    let line = ["task", "submit", "echo", &input, "--output", "json"];
    let task = lepton(&up.gateway, &[&line[..], &options[..]].concat()).await.json();
    assert_eq!(task["state"], "STATE_SUCCEEDED", "--wait gives the ended task: {task}");
    assert_eq!(task["output"], json!({"from": "a file"}));
    assert_eq!(task["priority"], 5);
    assert!(
        task["requestId"].as_str().is_some_and(|id| id.starts_with("cli-")),
        "{task}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_may_be_a_negative_number() {
    let up = shared().await;
    let task = words(&up.gateway, "task submit echo -1.5e1 --wait --output json").await;
    assert_eq!(task.json()["output"], -15);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_still_learns_how_it_ended() {
    let up = shared().await;
    for (rate, code) in [(0, 0), (1, 1)] {
        let input = format!("{{\"fail_rate\":{rate}}}");
        let submit = [
            "task",
            "submit",
            "echo",
            &input,
            "--max-attempts",
            "1",
            "--output",
            "json",
        ];
        let task = lepton(&up.gateway, &submit).await.json();
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(binary("lepton"));
        command
            .args(["task", "wait", id(&task)])
            .env("LEPTON_ADDRESS", &up.gateway);
        command.stdout(writer);
        run(command).await.exits(code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_the_rest_body_page_by_page() {
    let up = shared().await;
    for _ in 0..3 {
        words(&up.gateway, "task submit echo null --wait").await.exits(0);
    }
    // Others submit meanwhile, so that only what is behind a token stays the same.
    let list = "task list --state succeeded --kind echo --limit 2 --output json";
    let first = words(&up.gateway, list).await.json();
    assert_eq!(first["tasks"].as_array().map(Vec::len), Some(2), "{first}");
    let token = first["nextPageToken"].as_str().expect("there are more");
    let line = format!("task list --state STATE_SUCCEEDED --kind echo --limit 1 --page-token {token} --output json");
    let second = words(&up.gateway, &line).await.body();
    let path = format!("/api/v1/tasks?pageSize=1&state=STATE_SUCCEEDED&kind=echo&pageToken={token}");
    assert_eq!(second, up.rest().get(&path).await.text());

    let table = words(&up.gateway, "task list --kind echo --limit 2").await.body();
    assert_eq!(table.lines().count(), 4, "a header, two tasks, how to go on: {table}");
    assert!(
        table
            .lines()
            .last()
            .is_some_and(|line| line.starts_with("more: --page-token ")),
        "{table}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_prints_what_rest_answers() {
    let up = shared().await;
    let submit = ["task", "submit", "echo", r#"{"delay_ms":60000}"#, "--output", "json"];
    let task = lepton(&up.gateway, &submit).await.json();
    let cancel = format!("task cancel {} --output json", id(&task));
    assert_eq!(words(&up.gateway, &cancel).await.json()["id"], task["id"]);
    let ended = words(&up.gateway, &format!("task wait {} --output json", id(&task))).await;
    let ended: Value = serde_json::from_str(&ended.exits(1).stdout).expect("the task");
    assert_eq!(ended["state"], "STATE_CANCELLED");
    let path = format!("/api/v1/tasks/{}:cancel", id(&task));
    let rest = up.rest().post(&path, "{}").await.text();
    assert_eq!(words(&up.gateway, &cancel).await.body(), rest);

    let done = words(&up.gateway, "task submit echo 1 --wait --output json")
        .await
        .json();
    let late = words(&up.gateway, &format!("task cancel {}", id(&done))).await;
    late.refused(1, "TASK_ENDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_has_its_reason() {
    let up = shared().await;
    for verb in ["get", "watch", "wait", "cancel"] {
        for format in ["table", "json"] {
            let line = format!("task {verb} {ABSENT} --output {format}");
            let output = words(&up.gateway, &line).await.refused(1, "TASK_NOT_FOUND");
            assert!(output.stderr.contains(ABSENT), "{output:?}");
            output.advises("`lepton task list`");
        }
    }
    words(&up.gateway, "task get a/../b?c")
        .await
        .refused(1, "TASK_NOT_FOUND");
    let output = words(&up.gateway, "task submit nothing")
        .await
        .refused(1, "KIND_UNKNOWN");
    output.advises("echo");
    words(&up.gateway, "task submit echo {")
        .await
        .refused(1, "INVALID_JSON");
    words(&up.gateway, "task submit echo @/no/file")
        .await
        .refused(2, "FILE_UNREADABLE");
    words(&up.gateway, "task list --state bogus")
        .await
        .refused(1, "FIELD_INVALID");
    let first = "task submit echo 1 --request-id cli-reused";
    words(&up.gateway, first).await.exits(0);
    let other = "task submit echo 2 --request-id cli-reused";
    words(&up.gateway, other).await.refused(1, "REQUEST_ID_REUSED");
}
