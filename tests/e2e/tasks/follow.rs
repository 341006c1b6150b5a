//! Following tasks: waiting, watching and cancelling.

use std::time::Duration;

use lepton_proto::convert::value::to_value;
use lepton_proto::task::v1::submit_task_request::Payload;
use lepton_proto::task::v1::{State, SubmitTaskRequest, WatchTaskRequest};
use lepton_tests::mesh::{Options, Up};
use lepton_tests::rest::{Event, Rest};
use lepton_tests::wait::eventually;
use serde_json::{Value, json};

use super::{TASKS, client, end, path, slow, version};
use crate::shared_mesh::shared;

/// How long a change of state may take.
const CHANGE_MAX: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_the_task_or_with_its_time() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let task = rest.submit(TASKS, &slow(1_000)).await;
    let waited = rest.get(&format!("{}:wait?timeout=0.1s", path(&task))).await.json();
    assert!(
        waited["state"] == "STATE_RUNNING" || waited["state"] == "STATE_PENDING",
        "as it is, not ended: {waited}"
    );
    assert_eq!(end(&rest, &task).await["state"], "STATE_SUCCEEDED");
    let again = rest.get(&format!("{}:wait", path(&task))).await.json();
    assert_eq!(again["state"], "STATE_SUCCEEDED", "an ended task is not waited for");
    let long = rest.get(&format!("{}:wait?timeout=3601s", path(&task))).await;
    assert_eq!(long.reason().as_deref(), Some("FIELD_INVALID"), "{}", long.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_shows_every_step_and_closes_after_the_end() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let body =
        json!({"kind": "echo", "input": {"fail_times": 2, "delay_ms": 100}, "retry": {"initialBackoff": "0.1s"}});
    let task = rest.submit(TASKS, &body).await;
    let events = rest.events(&format!("{}:watch", path(&task))).await.rest().await;
    let states = checked(&events);
    let last = states.last().expect("at least one state");
    assert_eq!(
        (&last["state"], &last["attempts"]),
        (&json!("STATE_SUCCEEDED"), &json!(3)),
        "{last}"
    );
    assert!(states.len() >= 3, "it went through more than its end: {states:?}");
    assert!(
        states
            .iter()
            .any(|state| state["state"] == "STATE_RUNNING" && state["worker"] != ""),
        "{states:?}"
    );

    let ended = checked(&rest.events(&format!("{}:watch", path(&task))).await.rest().await);
    assert_eq!(ended, std::slice::from_ref(last), "an ended task has one state");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_over_grpc_shows_the_same() {
    let mesh = shared().await;
    let mut client = client(mesh.channel());
    let input = to_value(br#"{"delay_ms":200}"#).expect("it is JSON");
    let request = SubmitTaskRequest {
        kind: "echo".into(),
        payload: Some(Payload::Input(input)),
        ..Default::default()
    };
    let task = client
        .submit_task(request)
        .await
        .expect("it is taken")
        .into_inner()
        .task
        .expect("a task");
    let mut states = client
        .watch_task(WatchTaskRequest { id: task.id })
        .await
        .expect("a stream")
        .into_inner();
    let mut seen = Vec::new();
    while let Some(state) = states.message().await.expect("it does not break") {
        seen.push(state.task.expect("a task"));
    }
    let versions: Vec<(u64, u64)> = seen
        .iter()
        .filter_map(|task| task.version.map(|it| (it.epoch, it.seq)))
        .collect();
    assert!(
        versions.len() == seen.len() && versions.is_sorted_by(|a, b| a < b),
        "versions only grow: {versions:?}"
    );
    assert_eq!(seen.last().map(|task| task.state()), Some(State::Succeeded));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_what_waits_and_what_runs() {
    let one_slot = Options {
        workers: 1,
        more: vec!["--slots".into(), "1".into()],
        ..Options::default()
    };
    let mesh = Up::start(one_slot).await;
    let rest = mesh.rest();
    let (runs, waits) = (
        rest.submit(TASKS, &slow(600_000)).await,
        rest.submit(TASKS, &slow(600_000)).await,
    );
    eventually(CHANGE_MAX, || async {
        rest.get(&path(&runs)).await.json()["state"] == "STATE_RUNNING"
    })
    .await;
    assert_eq!(
        rest.get(&path(&waits)).await.json()["state"],
        "STATE_PENDING",
        "there is one slot"
    );
    let watched = rest.events(&format!("{}:watch", path(&runs))).await;

    let first = cancel(&rest, &waits).await;
    assert_eq!(
        (&first["state"], &first["attempts"]),
        (&json!("STATE_CANCELLED"), &json!(0)),
        "{first}"
    );
    assert_eq!(cancel(&rest, &waits).await, first, "again changes nothing");
    assert_eq!(cancel(&rest, &runs).await["state"], "STATE_CANCELLED");
    let states = checked(&watched.rest().await);
    assert_eq!(
        states.last().expect("a state")["state"],
        "STATE_CANCELLED",
        "watchers see it"
    );
    assert_eq!(end(&rest, &runs).await["error"]["reason"], "CANCELLED");

    // The only slot is free again, long before the delay is over.
    let next = rest.submit(TASKS, &json!({"kind": "echo", "input": "next"})).await;
    assert_eq!(end(&rest, &next).await["state"], "STATE_SUCCEEDED");
}

async fn cancel(rest: &Rest, task: &Value) -> Value {
    let answer = rest
        .post(&format!("{}:cancel", path(task)), r#"{"message":"enough"}"#)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The states of a watch, which must be in order and named as they should.
#[track_caller]
fn checked(events: &[Event]) -> Vec<Value> {
    let states = events.iter().map(|event| {
        let task: Value = serde_json::from_str(&event.data).expect("each carries a task");
        let (epoch, seq) = version(&task);
        assert_eq!(
            (event.name.as_str(), event.id.as_str()),
            ("task", format!("{epoch}-{seq}").as_str()),
            "{event:?}"
        );
        task
    });
    let states: Vec<Value> = states.collect();
    assert!(
        states.iter().map(version).is_sorted_by(|a, b| a < b),
        "versions only grow: {events:?}"
    );
    states
}
