//! `lepton task wait|watch`: exit codes say how a task ended.

use serde_json::Value;

use super::tasks::id;
use super::{lepton, words};
use crate::shared_mesh::shared;

async fn submit(gateway: &str, input: &str) -> Value {
    lepton(
        gateway,
        &[
            "task",
            "submit",
            "echo",
            input,
            "--max-attempts",
            "1",
            "--output",
            "json",
        ],
    )
    .await
    .json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_exits_as_the_task_ends() {
    let up = shared().await;
    let good = submit(&up.gateway, r#"{"delay_ms":300}"#).await;
    let wait = words(&up.gateway, &format!("task wait {} --output json", id(&good))).await;
    let rest = up.rest().get(&format!("/api/v1/tasks/{}:wait", id(&good))).await;
    assert_eq!(wait.body(), rest.text());

    let bad = submit(&up.gateway, r#"{"fail_times":9}"#).await;
    let wait = format!("task wait {}", id(&bad));
    let failed = words(&up.gateway, &wait).await.exits(1);
    assert!(
        failed.stdout.contains("failed") && failed.stdout.contains("HANDLER_FAILED"),
        "{failed:?}"
    );
    let failed = words(&up.gateway, &format!("{wait} --output json")).await.exits(1);
    let rest = up.rest().get(&format!("/api/v1/tasks/{}", id(&bad))).await;
    assert_eq!(failed.stdout.trim_end(), rest.text());
    let submitted = lepton(
        &up.gateway,
        &[
            "task",
            "submit",
            "echo",
            r#"{"fail_times":9}"#,
            "--max-attempts",
            "1",
            "--wait",
        ],
    );
    submitted.await.exits(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_times_out_exits_3() {
    let up = shared().await;
    let slow = submit(&up.gateway, r#"{"delay_ms":60000}"#).await;
    for timeout in ["100ms", "0s"] {
        let line = format!("task wait {} --timeout {timeout} --output json", id(&slow));
        let output = words(&up.gateway, &line).await.exits(3);
        let task: Value = serde_json::from_str(&output.stdout).expect("the task as it is");
        assert_eq!(task["id"], slow["id"]);
        assert!(task.get("endTime").is_none(), "{task}");
    }
    words(&up.gateway, &format!("task cancel {}", id(&slow))).await.exits(0);
    words(&up.gateway, "task wait x --timeout soon")
        .await
        .refused(2, "CONFIG_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_shows_every_change_and_ends() {
    let up = shared().await;
    let task = submit(&up.gateway, r#"{"delay_ms":700}"#).await;
    let path = format!("/api/v1/tasks/{}:watch", id(&task));
    let (rest, line) = (up.rest(), format!("task watch {} --output json", id(&task)));
    let rest = async { rest.events(&path).await.rest().await };
    let (output, events) = tokio::join!(words(&up.gateway, &line), rest);
    let output = output.body();
    let lines: Vec<&str> = output.lines().collect();
    let events: Vec<&str> = events.iter().map(|event| event.data.as_str()).collect();
    // One may have begun to watch a change before the other.
    let common = lines.len().min(events.len());
    assert!(common >= 2, "{lines:#?}");
    assert_eq!(lines[lines.len() - common..], events[events.len() - common..]);
    assert!(lines[common - 1].contains("STATE_SUCCEEDED"), "{lines:#?}");

    let table = words(&up.gateway, &format!("task watch {}", id(&task))).await.body();
    assert_eq!(table.lines().count(), 1, "an ended task has one state: {table}");
    assert!(table.contains("succeeded"), "{table}");
}
