//! Ended tasks: their attempts, running them again, deleting them; and kinds that wait.

use std::time::Duration;

use http::{HeaderValue, Method};
use lepton_tests::mesh::Up;
use lepton_tests::rest::{Answer, Rest};
use lepton_tests::wait::eventually;
use serde_json::{Value, json};

use super::{TASKS, end, path, run, slow};
use crate::shared_mesh::shared;

/// Seconds, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(30);

/// Calls once the journal has the format that this needs, which takes a moment after the start of a mesh.
async fn activated(call: impl AsyncFn() -> Answer) -> Answer {
    let ready = || async {
        let answer = call().await;
        (answer.reason().as_deref() != Some("FORMAT_UNSUPPORTED")).then_some(answer)
    };
    eventually(PATIENCE, ready).await
}

async fn retry(rest: &Rest, task: &Value, body: Value) -> Answer {
    let path = format!("{}:retry", path(task));
    activated(async || rest.post(&path, body.to_string()).await).await
}

async fn delete(rest: &Rest, task: &Value) -> Answer {
    let request = rest.request(Method::DELETE, &path(task), "".into());
    rest.send(request).await
}

fn failing(delay: Value) -> Value {
    json!({
        "kind": "echo",
        "input": {"fail_rate": 1, "delay_ms": delay},
        "retry": {"maxAttempts": 2, "initialBackoff": "0.01s"},
        "labels": {"team": "red"},
        "priority": 2,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_task_shows_its_attempts_and_runs_again() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let failed = run(&rest, &failing(json!(1))).await;
    assert_eq!(
        (&failed["state"], &failed["retriedFrom"]),
        (&json!("STATE_FAILED"), &json!(""))
    );
    let attempts = rest.get(&format!("{}/attempts", path(&failed))).await.json();
    let attempts = attempts["attempts"].as_array().expect("a list");
    assert_eq!(attempts.len(), 2, "{attempts:?}");
    for (attempt, number) in attempts.iter().zip(1..) {
        assert_eq!(attempt["number"], number);
        assert_eq!(attempt["state"], "ATTEMPT_STATE_FAILED");
        assert_eq!(attempt["error"]["reason"], "HANDLER_FAILED");
        assert!(attempt["worker"].as_str().is_some_and(|worker| !worker.is_empty()));
        assert!(
            attempt["startTime"].is_string() && attempt["endTime"].is_string(),
            "{attempt}"
        );
    }
    let again = retry(&rest, &failed, json!({"requestId": "again-1"})).await.json();
    assert_eq!(again["retriedFrom"], failed["id"]);
    assert_ne!(again["id"], failed["id"]);
    for field in ["kind", "input", "labels", "priority"] {
        assert_eq!(again[field], failed[field], "{field}");
    }
    assert_eq!(end(&rest, &again).await["state"], "STATE_FAILED");
    let repeated = retry(&rest, &failed, json!({"requestId": "again-1"})).await.json();
    assert_eq!(repeated["id"], again["id"], "the same retry is the same task");
    let mut by_key = rest.request(Method::POST, &format!("{}:retry", path(&failed)), "{}".into());
    by_key
        .headers_mut()
        .insert("idempotency-key", HeaderValue::from_static("again-1"));
    let by_key = rest.send(by_key).await.json();
    assert_eq!(
        by_key["id"], again["id"],
        "the header is the request id, as of a submit"
    );
    let other = run(&rest, &failing(json!(2))).await;
    let reused = retry(&rest, &other, json!({"requestId": "again-1"})).await;
    assert_eq!(reused.reason().as_deref(), Some("REQUEST_ID_REUSED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_has_an_input_of_its_own() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let large = "x".repeat(50_000);
    let first = run(&rest, &json!({"kind": "echo", "input": large})).await;
    let again = retry(&rest, &first, json!({})).await.json();
    let again = end(&rest, &again).await;
    assert_eq!(again["state"], "STATE_SUCCEEDED");
    assert_eq!(again["output"], first["output"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_ended_is_neither_run_again_nor_deleted() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let running = rest.submit(TASKS, &slow(600_000)).await;
    let refused = retry(&rest, &running, json!({})).await;
    assert_eq!(
        (refused.status.as_u16(), refused.reason().as_deref()),
        (400, Some("TASK_NOT_ENDED"))
    );
    let refused = delete(&rest, &running).await;
    assert_eq!(
        (refused.status.as_u16(), refused.reason().as_deref()),
        (400, Some("TASK_NOT_ENDED"))
    );
    let cancelled = rest.post(&format!("{}:cancel", path(&running)), "{}").await.json();
    let attempts = rest.get(&format!("{}/attempts", path(&cancelled))).await.json();
    for attempt in attempts["attempts"].as_array().expect("a list") {
        assert_eq!(attempt["state"], "ATTEMPT_STATE_STOPPED");
    }
    let early = delete(&rest, &cancelled).await;
    assert_eq!(
        (early.status.as_u16(), early.reason().as_deref()),
        (400, Some("TASK_RETAINED"))
    );
    assert!(early.detail("RetryInfo").is_some(), "{}", early.text());
    for verb in ["", "/attempts"] {
        let unknown = rest
            .get(&format!("{TASKS}/01a22e7b-497d-701a-aa75-000000000000{verb}"))
            .await;
        assert_eq!(unknown.reason().as_deref(), Some("TASK_NOT_FOUND"), "{verb}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_kind_waits_until_it_is_resumed() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    let set = async |verb: &str| activated(async || rest.post(&format!("/api/v1/kinds/echo:{verb}"), "").await).await;
    let paused = set("pause").await.json();
    assert_eq!((&paused["kind"], &paused["paused"]), (&json!("echo"), &json!(true)));
    let waiting = rest.submit(TASKS, &json!({"kind": "echo", "input": 1})).await;
    // What came later and is of another kind has run meanwhile.
    let analyze = json!({"kind": "analyze", "input": {"data": [{"a": 1}, {"a": 2}]}});
    assert_eq!(run(&rest, &analyze).await["state"], "STATE_SUCCEEDED");
    assert_eq!(rest.get(&path(&waiting)).await.json()["state"], "STATE_PENDING");
    let kinds = rest.get("/api/v1/kinds").await.json();
    let kind = |name: &str| {
        let kinds = kinds["kinds"].as_array().expect("a list");
        kinds
            .iter()
            .find(|kind| kind["kind"] == name)
            .cloned()
            .expect("it is there")
    };
    assert_eq!(
        (&kind("echo")["paused"], &kind("train")["paused"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(set("resume").await.json()["paused"], false);
    assert_eq!(end(&rest, &waiting).await["state"], "STATE_SUCCEEDED");
    assert_eq!(set("resume").await.json()["paused"], false, "twice changes nothing");
    let unknown = rest.post("/api/v1/kinds/nonsense:pause", "").await;
    assert_eq!(unknown.reason().as_deref(), Some("KIND_UNKNOWN"));
}
