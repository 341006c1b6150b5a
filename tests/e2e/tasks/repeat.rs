//! Submitting again: one request id is one task, however often and however parallel it is sent.

use std::collections::BTreeSet;

use futures::future::join_all;
use http::{HeaderValue, Method};
use serde_json::{Value, json};

use super::{TASKS, end};
use crate::shared_mesh::shared;

#[tokio::test(flavor = "multi_thread")]
async fn one_request_id_is_one_task() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let body = json!({"kind": "echo", "input": {"a": 1, "b": 2}, "requestId": "repeat-one"});
    let same = json!({"requestId": "repeat-one", "input": {"b": 2.0, "a": 1}, "kind": "echo"});
    let first = rest.submit(TASKS, &body).await;
    assert_eq!(
        rest.submit(TASKS, &same).await["id"],
        first["id"],
        "order of keys and form of numbers do not count"
    );
    let ended = end(&rest, &first).await;
    let again = rest.submit(TASKS, &body).await;
    assert_eq!(again, ended, "a repetition gives the task as it is now");
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_submits_of_one_id_make_one_task() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let body = json!({"kind": "echo", "input": "x".repeat(10_000), "requestId": "repeat-parallel"});
    let tasks = join_all((0..30).map(|_| rest.submit(TASKS, &body))).await;
    let ids: BTreeSet<&str> = tasks.iter().filter_map(|task| task["id"].as_str()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(end(&rest, &tasks[0]).await["attempts"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn submits_without_an_id_get_one_each() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let tasks =
        join_all((0..20).map(|_| async { rest.submit(TASKS, &json!({"kind": "echo", "input": 1})).await })).await;
    let of = |name: &str| {
        tasks
            .iter()
            .filter_map(|task| task[name].as_str().map(str::to_owned))
            .collect::<BTreeSet<_>>()
    };
    assert_eq!((of("id").len(), of("requestId").len()), (20, 20));
}

/// What a proxy sends to a second gateway, because the first one died over it.
#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_names_submits_that_have_no_id() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let send = async |path: &str, body: Value| {
        let mut request = rest.request(Method::POST, path, body.to_string().into());
        let key = HeaderValue::from_static("repeat-key");
        request.headers_mut().insert("idempotency-key", key);
        rest.send(request).await.json()
    };
    let echo = |input: u32| json!({"kind": "echo", "input": input});
    let (first, second) = (send(TASKS, echo(1)).await, send(TASKS, echo(1)).await);
    assert!(
        first["id"].is_string() && first["id"] == second["id"],
        "{first} {second}"
    );
    assert_eq!(first["requestId"], "repeat-key");
    // Beside the key that a proxy gives each try of a request, the client's own counts.
    let mut proxied = rest.request(
        Method::POST,
        TASKS,
        json!({"kind": "echo", "requestId": "own"}).to_string().into(),
    );
    let key = HeaderValue::from_static("of-the-proxy");
    proxied.headers_mut().insert("lepton-retry-key", key);
    assert_eq!(rest.send(proxied).await.json()["requestId"], "own");
    let other = send(TASKS, echo(2)).await;
    assert_eq!(other["error"]["details"][0]["reason"], "REQUEST_ID_REUSED", "{other}");

    let batch = json!({"requests": [echo(1), echo(1)]});
    let path = "/api/v1/tasks:batchSubmit";
    let ids = [send(path, batch.clone()).await, send(path, batch).await]
        .map(|answer| [0, 1].map(|index| answer["results"][index]["task"]["id"].clone()));
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0][0], ids[0][1], "each submit of a batch has a key of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_repeats_itself_too() {
    let mesh = shared().await;
    let request = |id: u32| json!({"kind": "echo", "input": id, "requestId": format!("repeat-batch-{id}")});
    let body = json!({"requests": [request(1), request(2), request(1), {"kind": "echo", "input": 9, "requestId": "repeat-batch-2"}]});
    let first = mesh.rest().submit("/api/v1/tasks:batchSubmit", &body).await;
    let id = |results: &Value, index: usize| results["results"][index]["task"]["id"].as_str().map(str::to_owned);
    assert!(id(&first, 0).is_some() && id(&first, 0) == id(&first, 2), "{first}");
    let codes: Vec<&Value> = (0..4).map(|index| &first["results"][index]["error"]["code"]).collect();
    assert_eq!(
        codes.iter().filter(|code| ***code == 400).count(),
        1,
        "two contents of one id, one is refused: {first}"
    );
    let again = mesh.rest().submit("/api/v1/tasks:batchSubmit", &body).await;
    assert_eq!(
        [0, 1, 2, 3].map(|index| id(&again, index)),
        [0, 1, 2, 3].map(|index| id(&first, index))
    );
}
