//! Submits, reads and cancels that are refused, after which there is no task more and none changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use lepton_proto::task::v1::submit_task_request::Payload;
use lepton_proto::task::v1::{CancelTaskRequest, GetTaskRequest, SubmitTaskRequest, WaitTaskRequest, WatchTaskRequest};
use lepton_tests::mesh::Up;
use serde_json::{Value, json};
use tonic::Code;

use super::{Refusal, failed, invalid, message, not_found, refused, still_works, task_count, tasks};

const ENDED: Refusal = Refusal {
    http: 400,
    status: "FAILED_PRECONDITION",
    reason: "TASK_ENDED",
};
const UNKNOWN: [&str; 2] = ["0197f7c0-0000-7000-8000-000000000000", "no-such-task"];

#[tokio::test(flavor = "multi_thread")]
async fn refused_submits_leave_no_task() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    let answer = rest
        .post("/api/v1/tasks", json!({"kind": "nope", "input": 1}).to_string())
        .await;
    refused(&answer, invalid("KIND_UNKNOWN"));
    assert!(message(&answer).contains("nope"), "{}", answer.text());
    let request = SubmitTaskRequest {
        kind: "nope".into(),
        ..Default::default()
    };
    failed(
        tasks(mesh.channel()).submit_task(request).await,
        Code::InvalidArgument,
        "KIND_UNKNOWN",
    );

    for body in [
        "{",
        "{}",
        "[]",
        "null",
        r#"{"kind":""}"#,
        r#"{"kind":5}"#,
        r#"{"kind":"echo","timeout":"soon"}"#,
    ] {
        let answer = rest.post("/api/v1/tasks", body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert!(answer.reason().is_some(), "{body}: {}", answer.text());
    }
    let long = json!({"kind": "echo", "requestId": "x".repeat(129)});
    refused(
        &rest.post("/api/v1/tasks", long.to_string()).await,
        invalid("FIELD_INVALID"),
    );
    assert_eq!(task_count(&rest).await, 0, "nothing was submitted");
    still_works(&rest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_tasks_are_not_found() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    let mut client = tasks(mesh.channel());
    for id in UNKNOWN {
        for path in ["", ":wait?timeout=1s", ":watch"] {
            let answer = rest.get(&format!("/api/v1/tasks/{id}{path}")).await;
            refused(&answer, not_found("TASK_NOT_FOUND"));
            assert!(message(&answer).contains(id), "{}", answer.text());
        }
        refused(
            &rest.post(&format!("/api/v1/tasks/{id}:cancel"), "{}").await,
            not_found("TASK_NOT_FOUND"),
        );
        let id = id.to_owned();
        failed(
            client
                .get_task(GetTaskRequest {
                    id: id.clone(),
                    ..Default::default()
                })
                .await,
            Code::NotFound,
            "TASK_NOT_FOUND",
        );
        let cancel = CancelTaskRequest {
            id: id.clone(),
            ..Default::default()
        };
        failed(client.cancel_task(cancel).await, Code::NotFound, "TASK_NOT_FOUND");
        let wait = WaitTaskRequest {
            id: id.clone(),
            timeout: None,
        };
        failed(client.wait_task(wait).await, Code::NotFound, "TASK_NOT_FOUND");
        let watched = match client.watch_task(WatchTaskRequest { id }).await {
            Ok(stream) => stream.into_inner().message().await.map(|_| ()),
            Err(status) => Err(status),
        };
        failed(watched, Code::NotFound, "TASK_NOT_FOUND");
    }
    assert_eq!(task_count(&rest).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_stands_for_one_content() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    let submit = |input: Value| json!({"kind": "echo", "input": input, "requestId": "once"});
    let first = rest.submit("/api/v1/tasks", &submit(json!({"a": 1}))).await;
    let others = [
        submit(json!({"a": 2})),
        json!({"kind": "analyze", "input": {"a": 1}, "requestId": "once"}),
        json!({"kind": "echo", "input": {"a": 1}, "requestId": "once", "priority": 1}),
    ];
    for other in others {
        let answer = rest.post("/api/v1/tasks", other.to_string()).await;
        refused(&answer, invalid("REQUEST_ID_REUSED"));
        assert!(
            message(&answer).contains(first["id"].as_str().expect("an id")),
            "{}",
            answer.text()
        );
    }
    let payload = Some(Payload::InputBytes(b"other".as_slice().into()));
    let request = SubmitTaskRequest {
        kind: "echo".into(),
        payload,
        request_id: "once".into(),
        ..Default::default()
    };
    failed(
        tasks(mesh.channel()).submit_task(request).await,
        Code::InvalidArgument,
        "REQUEST_ID_REUSED",
    );
    let again = rest.submit("/api/v1/tasks", &submit(json!({"a": 1}))).await;
    assert_eq!(again["id"], first["id"], "the first stands as it was");
    assert_eq!(again["input"], json!({"a": 1}));
    assert_eq!(task_count(&rest).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_task_cannot_be_cancelled() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    let bodies = [
        json!({"kind": "echo", "input": 1}),
        json!({"kind": "echo", "input": {"fail_times": 9}, "retry": {"maxAttempts": 1}}),
    ];
    for (body, state) in bodies.iter().zip(["STATE_SUCCEEDED", "STATE_FAILED"]) {
        let task = rest.submit("/api/v1/tasks", body).await;
        let path = format!("/api/v1/tasks/{}", task["id"].as_str().expect("an id"));
        let ended = rest.get(&format!("{path}:wait?timeout=30s")).await.json();
        assert_eq!(ended["state"], state, "{ended}");
        refused(&rest.post(&format!("{path}:cancel"), "{}").await, ENDED);
        let cancel = CancelTaskRequest {
            id: task["id"].as_str().expect("an id").to_owned(),
            ..Default::default()
        };
        failed(
            tasks(mesh.channel()).cancel_task(cancel).await,
            Code::FailedPrecondition,
            "TASK_ENDED",
        );
        assert_eq!(rest.get(&path).await.json(), ended, "nothing changed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_bounded_and_tokens_are_ours() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    refused(&rest.get("/api/v1/tasks?pageSize=1001").await, invalid("FIELD_INVALID"));
    refused(&rest.get("/api/v1/tasks?pageSize=many").await, invalid("FIELD_INVALID"));
    refused(
        &rest.get("/api/v1/tasks?state=STATE_NOPE").await,
        invalid("FIELD_INVALID"),
    );
    refused(
        &rest.get("/api/v1/tasks?pageToken=nope").await,
        invalid("PAGE_TOKEN_INVALID"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_input_is_not_kept() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    let submit = |text: &str| json!({"kind": "echo", "input": text.repeat(20_000), "requestId": "large"});
    let first = rest.submit("/api/v1/tasks", &submit("a")).await;
    let path = format!(
        "/api/v1/tasks/{}:wait?timeout=30s",
        first["id"].as_str().expect("an id")
    );
    assert_eq!(rest.get(&path).await.json()["state"], "STATE_SUCCEEDED");
    let blobs = mesh.data.path().join("blobs");
    let before = files_below(&blobs);
    rest.submit("/api/v1/tasks", &submit("a")).await;
    refused(
        &rest.post("/api/v1/tasks", submit("b").to_string()).await,
        invalid("REQUEST_ID_REUSED"),
    );
    let mut wrong = submit("c");
    wrong["retry"] = json!({"initialBackoff": "-1s"});
    refused(
        &rest.post("/api/v1/tasks", wrong.to_string()).await,
        invalid("FIELD_INVALID"),
    );
    assert_eq!(
        files_below(&blobs),
        before,
        "what was refused or repeated leaves nothing behind"
    );
}

/// Every file below a folder.
fn files_below(folder: &Path) -> BTreeSet<PathBuf> {
    let (mut found, mut open) = (BTreeSet::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("our folders are readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path);
            }
        }
    }
    found
}
