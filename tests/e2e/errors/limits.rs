//! Bodies over the limit: 64 MiB are taken, one byte more is not, however it comes in.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Method, StatusCode};
use lepton_proto::analysis::v1::{AnalyzeRequest, Table, TableColumn};
use lepton_proto::task::v1::SubmitTaskRequest;
use lepton_proto::task::v1::submit_task_request::Payload;
use tonic::Code;

use super::{Refusal, analysis, failed, message, refused, still_works, task_count, tasks};
use lepton_tests::mesh::Up;

const LIMIT: usize = 67_108_864;
const TOO_LARGE: Refusal = Refusal {
    http: 413,
    status: "RESOURCE_EXHAUSTED",
    reason: "REQUEST_TOO_LARGE",
};

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    let whole = rest
        .post("/api/v1/analyze", padded(r#"{"data":[{"a":1}]}"#, LIMIT))
        .await;
    assert_eq!(
        whole.status,
        StatusCode::OK,
        "exactly the limit is taken: {}",
        whole.text()
    );
    let before = task_count(&rest).await;
    for (path, body) in [
        ("/api/v1/analyze", r#"{"data":[{"a":1}]}"#),
        ("/api/v1/tasks", r#"{"kind":"echo"}"#),
    ] {
        let answer = rest.post(path, padded(body, LIMIT + 1)).await;
        refused(&answer, TOO_LARGE);
        assert!(
            message(&answer).contains("67108864"),
            "the limit is named: {}",
            answer.text()
        );
    }
    let mut request = rest.request(Method::POST, "/api/v1/analyze", packed(LIMIT + 1));
    request
        .headers_mut()
        .insert("content-encoding", "gzip".parse().expect("a header"));
    refused(&rest.send(request).await, TOO_LARGE);
    assert_eq!(task_count(&rest).await, before, "nothing was submitted");
    still_works(&rest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_bounded() {
    let mesh = Up::fresh().await;
    let column = TableColumn {
        name: "a".into(),
        numbers: vec![1.5; LIMIT / 8 + 1],
        ..Default::default()
    };
    let table = Table {
        row_count: (LIMIT / 8 + 1) as u32,
        columns: vec![column],
    };
    let request = AnalyzeRequest {
        table: Some(table),
        ..Default::default()
    };
    failed(
        analysis(mesh.channel()).analyze(request).await,
        Code::ResourceExhausted,
        "REQUEST_TOO_LARGE",
    );
    let payload = Some(Payload::InputBytes(vec![7; LIMIT].into()));
    let request = SubmitTaskRequest {
        kind: "echo".into(),
        payload,
        ..Default::default()
    };
    let mut client = tasks(mesh.channel()).max_encoding_message_size(usize::MAX);
    failed(
        client.submit_task(request).await,
        Code::ResourceExhausted,
        "REQUEST_TOO_LARGE",
    );
    assert_eq!(task_count(&mesh.rest()).await, 0, "nothing was submitted");
    still_works(&mesh.rest()).await;
}

/// A body of this length, which space fills.
fn padded(body: &str, length: usize) -> Bytes {
    let mut padded = body.as_bytes().to_vec();
    padded.resize(length, b' ');
    padded.into()
}

/// A small body that unpacks to this length.
fn packed(length: usize) -> Bytes {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer
        .write_all(&padded(r#"{"data":[{"a":1}]}"#, length))
        .expect("memory can be written");
    let packed = packer.finish().expect("memory can be written");
    assert!(packed.len() < LIMIT / 100, "it is small");
    packed.into()
}
