//! More watchers than a gateway takes.

use std::time::Duration;

use lepton_proto::task::v1::{WaitTaskRequest, WatchTaskRequest};
use lepton_tests::mesh::Up;
use lepton_tests::wait::eventually;
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::{client, end, path, run, slow};

/// The default of `tasks.watches_max`, and the streams of one connection.
const WATCHES_MAX: usize = 4_096;
/// Connections that they come over: each has room for some other calls.
const CONNECTIONS: usize = 4;
/// Longer than an unrelated call takes on a busy machine, and shorter than a stall.
const PATIENCE: Duration = Duration::from_secs(30);

/// As many watches as there may be: the next one is refused early, and every other call goes on.
#[tokio::test(flavor = "multi_thread")]
async fn more_watchers_than_fit_hold_up_no_other_call() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    let task = rest.submit("/api/v1/tasks", &slow(600_000)).await;
    let id = task["id"].as_str().expect("an id").to_owned();
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| client(mesh.channel())).collect();
    let mut watches = Vec::new();
    for number in 0..WATCHES_MAX {
        let request = WatchTaskRequest { id: id.clone() };
        let mut watch = clients[number % CONNECTIONS]
            .clone()
            .watch_task(request)
            .await
            .expect("taken")
            .into_inner();
        // The first state shows that the watch has arrived at the leader.
        assert!(watch.message().await.expect("a state").is_some());
        watches.push(watch);
    }
    let mut other = client(mesh.channel());
    let wait = WaitTaskRequest {
        id: id.clone(),
        timeout: None,
    };
    let refused = other.wait_task(wait).await.expect_err("one too many");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    let details = refused.get_error_details();
    assert_eq!(
        details.error_info().map(|info| info.reason.as_str()),
        Some("OVERLOADED")
    );
    assert!(details.retry_info().is_some(), "{refused}");
    let answer = rest.get(&format!("{}:wait?timeout=60s", path(&task))).await;
    assert_eq!(
        (answer.status.as_u16(), answer.reason().as_deref()),
        (429, Some("OVERLOADED"))
    );
    assert!(answer.header("retry-after").is_some());
    let unrelated = async {
        let listed = rest.get("/api/v1/tasks?pageSize=1").await;
        assert_eq!(listed.status.as_u16(), 200, "{}", listed.text());
        let submitted = rest.submit("/api/v1/tasks", &json!({"kind": "echo", "input": 7})).await;
        let read = rest.get(&path(&submitted)).await;
        assert_eq!(read.status.as_u16(), 200, "{}", read.text());
    };
    tokio::time::timeout(PATIENCE, unrelated).await.expect("nothing stalls");
    drop(watches);
    // Those that have gone make room.
    let cancelled = rest.post(&format!("{}:cancel", path(&task)), "{}").await;
    assert_eq!(cancelled.status.as_u16(), 200, "{}", cancelled.text());
    eventually(PATIENCE, || async {
        rest.get(&format!("{}:wait", path(&task))).await.status.as_u16() == 200
    })
    .await;
    assert_eq!(end(&rest, &task).await["state"], "STATE_CANCELLED");
    assert_eq!(run(&rest, &json!({"kind": "echo", "input": 7})).await["output"], 7);
}
