//! Inputs and outputs that are large or binary.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lepton_proto::task::v1::submit_task_request::Payload;
use lepton_proto::task::v1::task::Result as Outcome;
use lepton_proto::task::v1::{State, SubmitTaskRequest, WaitTaskRequest};
use lepton_tests::mesh::Up;
use serde_json::json;

use super::{client, end, run};
use crate::shared_mesh::shared;

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_mebibyte_goes_through_the_blob_store() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    let input = json!({"text": "0123456789abcdef".repeat(MIB / 16), "n": [1, 2.5]});
    let ended = run(&rest, &json!({"kind": "echo", "input": input})).await;
    assert_eq!(ended["state"], "STATE_SUCCEEDED");
    assert!(
        ended["input"] == input && ended["output"] == input,
        "it comes back as it was"
    );
    let stored = bytes_below(&mesh.data.path().join("blobs"));
    // Input and output are the same bytes under the same task, so they are kept once.
    assert!(stored >= MIB as u64, "they lie in the blob store: {stored} bytes");
    let listed = rest.get("/api/v1/tasks").await.json();
    assert!(listed["tasks"][0]["output"] == input, "and in listings");
    let journal = rest.get("/api/v1/journal").await.json();
    let bytes: u64 = journal["bytes"]
        .as_str()
        .and_then(|bytes| bytes.parse().ok())
        .expect("a number");
    assert!(bytes < 64 << 10, "but not in the journal: {bytes} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_come_back_as_they_were() {
    let mesh = shared().await;
    let mut client = client(mesh.channel()).max_decoding_message_size(usize::MAX);
    for size in [0, 1, 3_000, 300_000] {
        let content: Bytes = (0..size).map(|i| (i * 7 % 256) as u8).collect();
        let payload = Some(Payload::InputBytes(content.clone()));
        let request = SubmitTaskRequest {
            kind: "echo".into(),
            payload,
            ..Default::default()
        };
        let task = client
            .submit_task(request)
            .await
            .expect("it is taken")
            .into_inner()
            .task
            .expect("a task");
        let wait = WaitTaskRequest {
            id: task.id.clone(),
            timeout: None,
        };
        let ended = client
            .wait_task(wait)
            .await
            .expect("it ends")
            .into_inner()
            .task
            .expect("a task");
        assert_eq!(ended.state(), State::Succeeded, "{size} bytes");
        assert!(
            matches!(&ended.result, Some(Outcome::OutputBytes(output)) if *output == content),
            "{size} bytes"
        );
        let shown = end(&mesh.rest(), &json!({"id": task.id})).await;
        assert_eq!(shown["outputBytes"], STANDARD.encode(&content), "base64 over REST");
        assert!(shown.get("output").is_none() && shown.get("input").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_may_be_sent_over_rest_too() {
    let mesh = shared().await;
    let ended = run(
        &mesh.rest(),
        &json!({"kind": "echo", "inputBytes": STANDARD.encode([0, 255, 10])}),
    )
    .await;
    assert_eq!(
        (&ended["inputBytes"], &ended["outputBytes"]),
        (&json!("AP8K"), &json!("AP8K")),
        "{ended}"
    );
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                bytes_below(&path)
            } else {
                fs::metadata(&path).expect("readable").len()
            }
        })
        .sum()
}
