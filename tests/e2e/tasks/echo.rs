//! Single tasks: what goes in comes out, failures are tried again, and time limits hold.

use prost_types::Timestamp;
use serde_json::{Value, json};

use super::{TASKS, end, path, run, version};
use crate::shared_mesh::shared;

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_gives_back_what_it_got() {
    let mesh = shared().await;
    let rest = mesh.rest();
    for input in [
        json!({"a": [1, "x", null, true, 2.5]}),
        json!("text"),
        json!(null),
        json!([]),
        json!(-0.5),
        json!(true),
    ] {
        let task = rest
            .submit(
                TASKS,
                &json!({"kind": "echo", "input": input, "labels": {"who": "test"}}),
            )
            .await;
        let ended = end(&rest, &task).await;
        assert_eq!(ended["state"], "STATE_SUCCEEDED", "{ended}");
        assert_eq!((&ended["input"], &ended["output"]), (&input, &input));
        assert_eq!(
            (&ended["attempts"], &ended["labels"]["who"]),
            (&json!(1), &json!("test"))
        );
        assert!(version(&ended) > version(&task));
        assert_eq!(
            rest.get(&path(&task)).await.json(),
            ended,
            "reading it again changes nothing"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_tried_again_until_they_pass() {
    let mesh = shared().await;
    let input = json!({"fail_times": 2});
    let ended = run(&mesh.rest(), &json!({"kind": "echo", "input": input, "retry": fast(3)})).await;
    assert_eq!(
        (&ended["state"], &ended["attempts"]),
        (&json!("STATE_SUCCEEDED"), &json!(3)),
        "{ended}"
    );
    assert_eq!(ended["output"], input);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_always_fails_ends_with_its_error() {
    let mesh = shared().await;
    for (input, attempts) in [(json!({"fail_rate": 1}), 2), (json!({"fail_times": 5}), 4)] {
        let ended = run(
            &mesh.rest(),
            &json!({"kind": "echo", "input": input, "retry": fast(attempts)}),
        )
        .await;
        assert_eq!(
            (&ended["state"], &ended["attempts"]),
            (&json!("STATE_FAILED"), &json!(attempts)),
            "{ended}"
        );
        let error = &ended["error"];
        assert_eq!(
            (&error["status"], &error["reason"]),
            (&json!("INTERNAL"), &json!("HANDLER_FAILED")),
            "{ended}"
        );
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|message| message.contains(&format!("attempt {attempts}")))
        );
        assert!(ended.get("output").is_none(), "{ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_fails_some_and_not_all() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let one = json!({"kind": "echo", "input": {"fail_rate": 0.5}, "retry": fast(1)});
    let results = rest
        .submit("/api/v1/tasks:batchSubmit", &json!({"requests": vec![one; 60]}))
        .await;
    let mut failed = 0;
    for result in results["results"].as_array().expect("results") {
        failed += u32::from(end(&rest, &result["task"]).await["state"] == "STATE_FAILED");
    }
    // Less likely than one in a billion with an honest coin.
    assert!((6..=54).contains(&failed), "{failed} of 60 failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_make_no_sense_are_not_tried_again() {
    let mesh = shared().await;
    let ended = run(&mesh.rest(), &json!({"kind": "echo", "input": {"delay_ms": -1}})).await;
    assert_eq!(
        (&ended["state"], &ended["attempts"]),
        (&json!("STATE_FAILED"), &json!(1)),
        "{ended}"
    );
    assert_eq!(ended["error"]["reason"], "FIELD_INVALID", "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_takes_too_long_is_ended() {
    let mesh = shared().await;
    let input = json!({"delay_ms": 600_000});
    let body = json!({"kind": "echo", "input": input, "timeout": "0.2s", "retry": fast(2)});
    let ended = run(&mesh.rest(), &body).await;
    assert_eq!(
        (&ended["state"], &ended["attempts"]),
        (&json!("STATE_FAILED"), &json!(2)),
        "{ended}"
    );
    assert_eq!(
        (&ended["error"]["status"], &ended["error"]["reason"]),
        (&json!("DEADLINE_EXCEEDED"), &json!("TIMEOUT"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_expires_at_its_deadline() {
    let mesh = shared().await;
    let rest = mesh.rest();
    // Journal time is the mesh's own; a task just made tells it.
    let now = rest.submit(TASKS, &json!({"kind": "echo"})).await["createTime"]
        .as_str()
        .expect("a time")
        .to_owned();
    let deadline = later(&now);
    let body = json!({"kind": "echo", "input": {"delay_ms": 600_000}, "deadline": deadline});
    let ended = run(&rest, &body).await;
    assert_eq!(ended["state"], "STATE_EXPIRED", "{ended}");
    assert!(reached(&ended["endTime"], &deadline), "not before {deadline}: {ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_task_starts_no_earlier() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let now = rest.submit(TASKS, &json!({"kind": "echo"})).await["createTime"]
        .as_str()
        .expect("a time")
        .to_owned();
    let start = later(&now);
    let task = rest
        .submit(TASKS, &json!({"kind": "echo", "input": 1, "notBefore": start}))
        .await;
    assert_eq!(task["state"], "STATE_PENDING", "it waits for its time: {task}");
    let ended = end(&rest, &task).await;
    assert_eq!(ended["state"], "STATE_SUCCEEDED");
    assert!(reached(&ended["startTime"], &start), "not before {start}: {ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analysis_as_a_task_gives_the_figures_of_the_online_call() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let rows: Vec<Value> = (0..50)
        .map(|i| json!({"x": i, "y": i * i % 17, "t": format!("v{}", i % 5), "z": 3 * i + i % 4}))
        .collect();
    let request = json!({"data": rows, "target": "z"});
    let mut online = rest.submit("/api/v1/analyze", &request).await;
    let ended = run(&rest, &json!({"kind": "analyze", "input": request})).await;
    assert_eq!(ended["state"], "STATE_SUCCEEDED", "{ended}");
    let mut output = ended["output"].clone();
    for figures in [&mut online, &mut output] {
        figures.as_object_mut().expect("an object").remove("traceId");
    }
    assert_eq!(output, online);
    for (input, reason) in [
        (json!({"data": []}), "NO_ROWS"),
        (json!({"data": [1]}), "INVALID_ROW"),
        (json!(1), "INVALID_JSON"),
    ] {
        let ended = run(&rest, &json!({"kind": "analyze", "input": input})).await;
        assert_eq!(
            (&ended["state"], &ended["attempts"]),
            (&json!("STATE_FAILED"), &json!(1)),
            "{ended}"
        );
        let found = ended["error"]["reason"].as_str().expect("a reason");
        assert!(
            found == reason || reason == "INVALID_JSON" && found == "FIELD_INVALID",
            "{ended}"
        );
    }
}

/// Tries at most so often, without long pauses.
fn fast(attempts: u32) -> Value {
    json!({"maxAttempts": attempts, "initialBackoff": "0.01s", "maxBackoff": "0.02s"})
}

/// The second after the next.
fn later(time: &str) -> String {
    Timestamp {
        seconds: parsed(time).seconds + 2,
        nanos: 0,
    }
    .to_string()
}

/// Whether a time is this one or later.
fn reached(time: &Value, wanted: &str) -> bool {
    let (time, wanted) = (parsed(time.as_str().expect("a time")), parsed(wanted));
    (time.seconds, time.nanos) >= (wanted.seconds, wanted.nanos)
}

fn parsed(time: &str) -> Timestamp {
    time.parse().unwrap_or_else(|error| panic!("{time}: {error}"))
}
