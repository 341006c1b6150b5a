//! Data of releases before: it is read, and upgraded once every scheduler can.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use lepton_tests::mesh::{Options, Up, directory};
use lepton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::audit::{Audit, text};
use crate::serial::{PATIENCE, exclusive};

/// Ended tasks of the stored journals would be purged otherwise: they ended long ago.
const KEEP: (&str, &str) = ("LEPTON_TASKS__RETENTION", "876000h");

/// Copies a stored data directory.
fn restore(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a stored journal") {
        let entry = entry.expect("it can be listed");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).expect("a fresh directory");
            restore(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("it can be copied");
        }
    }
}

fn listed(tasks: &Value) -> &Vec<Value> {
    tasks["tasks"].as_array().expect("a list of tasks")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_of_the_release_before_is_read_and_upgraded() {
    let _exclusive = exclusive().await;
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("formats");
    let before = fs::read_to_string(stored.join("1.json")).expect("the answer of that release");
    let before: Value = serde_json::from_str(&before).expect("it is JSON");
    let data = directory();
    restore(&stored.join("1"), data.path());
    let start = |data| {
        Up::start(Options {
            data: Some(data),
            variables: vec![(KEEP.0, KEEP.1.to_owned())],
            ..Options::default()
        })
    };
    let up = start(Arc::clone(&data)).await;
    let tasks = up.rest().get("/api/v1/tasks?pageSize=50").await.json();
    assert_eq!(listed(&tasks).len(), listed(&before).len());
    for (now, then) in listed(&tasks).iter().zip(listed(&before)) {
        // Records keep the worker of their last attempt since then.
        for (field, value) in then
            .as_object()
            .expect("a task")
            .iter()
            .filter(|(field, _)| *field != "worker")
        {
            assert_eq!(&now[field], value, "{field} of {now}");
        }
    }
    let activated = || async { Audit::of(&up.etcd).await.events("format_activated").count() == 1 };
    eventually(PATIENCE, activated).await;
    let cancelled = listed(&before)
        .iter()
        .find(|task| task["requestId"] == "unplaceable")
        .expect("one that waits");
    let id = cancelled["id"].as_str().expect("an id");
    let answer = up.rest().post(&format!("/api/v1/tasks/{id}:cancel"), "{}").await;
    assert_eq!(
        answer.json()["state"],
        "STATE_CANCELLED",
        "what waited can still change"
    );
    drop(up);

    // The upgraded journal is read by the next start, and is not upgraded again.
    let up = start(data).await;
    let path = format!("/api/v1/tasks/{id}");
    assert_eq!(up.rest().get(&path).await.json()["state"], "STATE_CANCELLED");
    assert_eq!(Audit::of(&up.etcd).await.events("format_activated").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_is_held_back_leaves_the_journal_as_it_was() {
    let _exclusive = exclusive().await;
    let data = directory();
    let held = Up::start(Options {
        data: Some(Arc::clone(&data)),
        variables: vec![("LEPTON_JOURNAL__FORMAT_MAX", "1".to_owned())],
        ..Options::default()
    })
    .await;
    let rest = held.rest();
    let task = rest.submit("/api/v1/tasks", &json!({"kind": "echo", "input": 1})).await;
    let path = format!("/api/v1/tasks/{}", text(&task, "id"));
    let ended = rest.get(&format!("{path}:wait?timeout=60s")).await.json();
    assert_eq!(ended["state"], "STATE_SUCCEEDED", "what was there before works");
    let refused = rest.post(&format!("{path}:retry"), "{}").await;
    assert_eq!(
        (refused.status.as_u16(), refused.reason().as_deref()),
        (400, Some("FORMAT_UNSUPPORTED"))
    );
    assert_eq!(Audit::of(&held.etcd).await.events("format_activated").count(), 0);
    drop(held);
    let up = Up::start(Options {
        data: Some(data),
        ..Options::default()
    })
    .await;
    let retried = || async { up.rest().post(&format!("{path}:retry"), "{}").await.status == 200 };
    eventually(PATIENCE, retried).await;
}
