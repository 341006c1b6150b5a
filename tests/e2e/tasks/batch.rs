//! Many tasks in one request.

use std::time::Duration;

use lepton_proto::task::v1::batch_submit_result::Outcome;
use lepton_proto::task::v1::{BatchSubmitTasksRequest, SubmitTaskRequest};
use lepton_tests::mesh::Up;
use lepton_tests::rest::{Rest, detail};
use lepton_tests::wait::eventually;
use serde_json::{Value, json};

use super::client;
use crate::shared_mesh::shared;

const BATCH: &str = "/api/v1/tasks:batchSubmit";
const MANY: usize = 10_000;
/// Longer than that many take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_tasks_end_once_each() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    let request = |number: usize| json!({"kind": "echo", "input": number, "requestId": format!("many-{number}")});
    let requests = json!({"requests": (0..MANY).map(request).collect::<Vec<Value>>()}).to_string();
    // A busy store may leave some outcomes unknown; whoever submits them again gets the same tasks.
    let answer = eventually(PATIENCE, || async {
        let answer = rest.post(BATCH, requests.clone()).await;
        if answer.status == 503 {
            return None;
        }
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        let results = answer["results"].as_array().expect("results");
        assert_eq!(results.len(), MANY);
        let passing = |result: &&Value| result["error"]["code"] != 503;
        let failed = results.iter().filter(|result| result.get("error").is_some());
        assert_eq!(failed.clone().find(passing), None, "nothing is refused for good");
        (failed.count() == 0).then_some(answer)
    });
    let answer = answer.await;
    let results = answer["results"].as_array().expect("results");
    for (number, result) in results.iter().enumerate() {
        assert_eq!(
            result["task"]["requestId"],
            format!("many-{number}"),
            "in the order of the requests: {result}"
        );
    }
    // Those that have not ended would be listed; looking for one costs little, replaying the journal much.
    for state in ["STATE_PENDING", "STATE_RUNNING"] {
        let none = || async {
            let page = rest
                .get(&format!("/api/v1/tasks?pageSize=1&state={state}"))
                .await
                .json();
            page["tasks"] == json!([]) && page["nextPageToken"] == ""
        };
        eventually(PATIENCE, none).await;
    }
    let all = json!(MANY.to_string());
    let verified = verified(&rest).await;
    assert_eq!(
        (&verified["taskCount"], &verified["succeededCount"]),
        (&all, &all),
        "{verified}"
    );
    assert_eq!(
        (&verified["endedOtherwiseCount"], &verified["liveCount"]),
        (&json!("0"), &json!("0")),
        "{verified}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_succeeds_or_fails_alone() {
    let mesh = shared().await;
    let requests = json!([
        {"kind": "echo", "input": 1},
        {"kind": "nope"},
        {"kind": "echo", "priority": 9},
        {"kind": "echo", "priority": "high"},
        {"kind": "echo", "colour": 1},
        7,
        {"kind": "echo"},
    ]);
    let answer = mesh.rest().submit(BATCH, &json!({"requests": requests})).await;
    let results = answer["results"].as_array().expect("results");
    let reasons: Vec<Option<&str>> = results
        .iter()
        .map(|result| detail(&result["error"], "ErrorInfo").and_then(|info| info["reason"].as_str()))
        .collect();
    assert_eq!(
        reasons,
        [
            None,
            Some("KIND_UNKNOWN"),
            Some("FIELD_INVALID"),
            Some("FIELD_INVALID"),
            Some("UNKNOWN_FIELD"),
            Some("FIELD_INVALID"),
            None,
        ],
        "{answer}"
    );
    for (result, reason) in results.iter().zip(reasons) {
        let has_task = reason.is_none();
        assert_eq!(
            result.get("task").is_some(),
            has_task,
            "exactly one of the two: {result}"
        );
        assert_eq!(
            result.get("error").is_some(),
            !has_task,
            "exactly one of the two: {result}"
        );
    }
    let known = SubmitTaskRequest {
        kind: "echo".into(),
        ..Default::default()
    };
    let unknown = SubmitTaskRequest {
        kind: "nope".into(),
        ..Default::default()
    };
    let request = BatchSubmitTasksRequest {
        requests: vec![known, unknown],
    };
    let answer = client(mesh.channel())
        .batch_submit_tasks(request)
        .await
        .expect("it is taken")
        .into_inner();
    assert!(
        matches!(&answer.results[0].outcome, Some(Outcome::Task(task)) if task.kind == "echo"),
        "{answer:?}"
    );
    assert!(
        matches!(&answer.results[1].outcome, Some(Outcome::Error(error)) if error.code == 400),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_one_to_ten_thousand() {
    let mesh = shared().await;
    for count in [0, MANY + 1] {
        let requests = vec![json!({"kind": "echo"}); count];
        let answer = mesh.rest().post(BATCH, json!({"requests": requests}).to_string()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_deref()),
            (400, Some("FIELD_INVALID")),
            "{}",
            answer.text()
        );
        let request = BatchSubmitTasksRequest {
            requests: vec![SubmitTaskRequest::default(); count],
        };
        let status = client(mesh.channel())
            .batch_submit_tasks(request)
            .await
            .expect_err("it is refused");
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
    }
}

/// What replaying the journal shows; it must hold.
async fn verified(rest: &Rest) -> Value {
    let answer = rest.get("/api/v1/journal:verify").await;
    let verified = answer.json();
    assert_eq!(
        (&verified["ok"], &verified["breaches"]),
        (&json!(true), &json!([])),
        "{}",
        answer.text()
    );
    verified
}
