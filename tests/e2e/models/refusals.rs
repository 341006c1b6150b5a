//! What is refused about models, and that nothing is left of it.

use bytes::Bytes;
use http::Method;
use lepton_proto::model::v1::model_service_client::ModelServiceClient;
use lepton_proto::model::v1::{DeployModelRequest, PushModelRequest};
use lepton_tests::wait::eventually;
use serde_json::json;
use std::time::Duration;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::{call, deploy, file, files, push, refused};
use crate::shared_mesh::shared;

#[tokio::test(flavor = "multi_thread")]
async fn wrong_names_versions_and_bodies_are_named() {
    let mesh = shared().await;
    let rest = &mesh.rest();
    for name in ["Upper", "-dash", &"n".repeat(65)] {
        let answer = rest.post(&format!("/api/v1/models/{name}:push"), file(1.0)).await;
        refused(&answer, 400, "FIELD_INVALID");
        assert!(answer.text().contains("[a-z0-9]"), "{}", answer.text());
    }
    push(rest, "strict", 1.0).await;
    let post = |action: &str, body: &'static str| {
        let path = format!("/api/v1/models/strict:{action}");
        async move { rest.post(&path, body).await }
    };
    refused(&post("deploy", r#"{"version": 9}"#).await, 404, "MODEL_NOT_FOUND");
    refused(&post("deploy", r#"{"verzion": 1}"#).await, 400, "UNKNOWN_FIELD");
    refused(&post("rollback", "{}").await, 400, "NO_PREVIOUS_VERSION");
    let request = rest.request(Method::DELETE, "/api/v1/models/strict/versions/one", Bytes::new());
    refused(&rest.send(request).await, 400, "FIELD_INVALID");
    for (method, path) in [
        (Method::POST, "absent:deploy"),
        (Method::POST, "absent:undeploy"),
        (Method::POST, "absent:rollback"),
        (Method::DELETE, "absent/versions/1"),
        (Method::GET, "absent"),
    ] {
        let request = rest.request(method, &format!("/api/v1/models/{path}"), Bytes::new());
        let answer = rest.send(request).await;
        refused(&answer, 404, "MODEL_NOT_FOUND");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_model_leaves_nothing_behind() {
    let mesh = shared().await;
    let rest = &mesh.rest();
    let blobs = mesh.data.path().join("blobs");
    for content in ["", "no model", "{}"] {
        let answer = rest.post("/api/v1/models/none:push", content).await;
        refused(&answer, 400, "MODEL_INVALID");
    }
    refused(&rest.get("/api/v1/models/none").await, 404, "MODEL_NOT_FOUND");
    eventually(Duration::from_secs(20), || async { files(&blobs, "none") == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_gives_the_same_answers_and_refusals() {
    let mesh = shared().await;
    let mut client = ModelServiceClient::new(mesh.channel());
    let request = PushModelRequest {
        name: "wire".into(),
        content: file(3.0),
    };
    let pushed = client.push_model(request).await.expect("pushed").into_inner();
    assert_eq!(pushed.version.map(|version| version.version), Some(1));
    let deploy = |version| DeployModelRequest {
        name: "wire".into(),
        version,
    };
    let model = client
        .deploy_model(deploy(0))
        .await
        .expect("deployed")
        .into_inner()
        .model;
    assert_eq!(model.map(|model| model.deployed_version), Some(1));
    let status = client.deploy_model(deploy(7)).await.expect_err("there is none");
    let reason = status.get_details_error_info().map(|info| info.reason);
    assert_eq!(
        (status.code(), reason.as_deref()),
        (Code::NotFound, Some("MODEL_NOT_FOUND"))
    );
    let shown = call(&mesh.rest(), Method::GET, "wire", "").await;
    assert_eq!(
        (&shown["deployedVersion"], &shown["versions"][0]["version"]),
        (&json!(1), &json!(1))
    );
}

/// Whatever a broken-off push has come to, the record names exactly the files that are there.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_whose_client_vanishes_leaves_nothing_half_registered() {
    let mesh = shared().await;
    let rest = &mesh.rest();
    for step in 1..=8_u64 {
        let request = rest.request(Method::POST, "/api/v1/models/vanish:push", file(step as f64));
        // Each is cut at another moment; all outcomes are fine.
        let _ = tokio::time::timeout(Duration::from_millis(step * 15), rest.attempt(request)).await;
    }
    push(rest, "vanish", 100.0).await;
    let blobs = mesh.data.path().join("blobs");
    eventually(Duration::from_secs(60), || async {
        let model = rest.get("/api/v1/models/vanish").await.json();
        model["versions"].as_array().map(Vec::len) == Some(files(&blobs, "vanish"))
    })
    .await;
    let model = deploy(rest, "vanish", 0).await;
    assert_eq!(model["deployedVersion"], model["versions"][0]["version"]);
}
