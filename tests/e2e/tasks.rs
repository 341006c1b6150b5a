//! Tasks from submit to end, as clients drive them over REST and gRPC.

use lepton_proto::task::v1::task_service_client::TaskServiceClient;
use lepton_tests::rest::Rest;
use serde_json::{Value, json};
use tonic::transport::Channel;

mod batch;
mod crowd;
mod echo;
mod ended;
mod follow;
mod list;
mod payload;
mod progress;
mod repeat;
mod search;

const TASKS: &str = "/api/v1/tasks";

fn client(channel: Channel) -> TaskServiceClient<Channel> {
    TaskServiceClient::new(channel)
}

/// The path of a task.
#[track_caller]
fn path(task: &Value) -> String {
    let id = task["id"].as_str().unwrap_or_else(|| panic!("no id: {task}"));
    format!("{TASKS}/{id}")
}

/// Submits a task and gives it as it is when it has ended.
async fn run(rest: &Rest, body: &Value) -> Value {
    let task = rest.submit(TASKS, body).await;
    end(rest, &task).await
}

/// Waits for the end of a task.
async fn end(rest: &Rest, task: &Value) -> Value {
    let answer = rest.get(&format!("{}:wait?timeout=60s", path(task))).await;
    let ended = answer.json();
    assert!(ended.get("endTime").is_some(), "it ends: {}", answer.text());
    ended
}

/// The place of a task's last change in the journal.
#[track_caller]
fn version(task: &Value) -> (u64, u64) {
    let number = |name: &str| task["version"][name].as_str().and_then(|text| text.parse().ok());
    number("epoch")
        .zip(number("seq"))
        .unwrap_or_else(|| panic!("no version: {task}"))
}

/// An echo that takes this long.
fn slow(delay_ms: u32) -> Value {
    json!({"kind": "echo", "input": {"delay_ms": delay_ms}})
}
