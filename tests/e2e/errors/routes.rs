//! Paths, methods, models and origins that are not there or not allowed.

use bytes::Bytes;
use http::Method;
use lepton_proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use lepton_proto::inference::{ModelInferRequest, ModelMetadataRequest};
use lepton_proto::model::v1::PushModelRequest;
use lepton_proto::model::v1::model_service_client::ModelServiceClient;
use tonic::Code;

use super::{Refusal, failed, invalid, message, not_found, refused};
use crate::shared_mesh::shared;

const WRONG_METHOD: Refusal = Refusal {
    http: 405,
    status: "UNIMPLEMENTED",
    reason: "METHOD_NOT_ALLOWED",
};

#[tokio::test(flavor = "multi_thread")]
async fn unknown_routes_say_so() {
    let mesh = shared().await;
    for path in [
        "/nope",
        "/api",
        "/api/v1/nope",
        "/api/v2/tasks",
        "/api/v1/tasks/",
        "/api/v1/tasks:nope",
        "//",
    ] {
        let answer = mesh.rest().get(path).await;
        refused(&answer, not_found("ROUTE_NOT_FOUND"));
        assert!(message(&answer).contains(path), "{}", answer.text());
    }
    refused(
        &mesh.rest().post("/api/v1/nope", "not json").await,
        not_found("ROUTE_NOT_FOUND"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_methods_name_the_right_ones() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let cases = [
        (Method::GET, "/api/v1/analyze", "POST"),
        (Method::DELETE, "/api/v1/tasks", "POST"),
        (Method::PUT, "/api/v1/tasks/0197f7c0-0000-7000-8000-000000000000", "GET"),
        (Method::POST, "/api/v1/nodes", "GET"),
        (Method::POST, "/healthz", "GET"),
    ];
    for (method, path, allowed) in cases {
        let answer = rest.send(rest.request(method, path, Bytes::new())).await;
        refused(&answer, WRONG_METHOD);
        let allow = answer
            .header("allow")
            .unwrap_or_else(|| panic!("no Allow header: {path}"));
        assert!(allow.split(", ").any(|method| method == allowed), "{path}: {allow}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_models_and_files_that_are_none() {
    let mesh = shared().await;
    let rest = mesh.rest();
    refused(&rest.get("/api/v1/models/nope").await, not_found("MODEL_NOT_FOUND"));
    refused(
        &rest.post("/api/v1/models/nope:deploy", "{}").await,
        not_found("MODEL_NOT_FOUND"),
    );
    for file in ["", "this is not a model", "{}"] {
        refused(
            &rest.post("/api/v1/models/nope:push", file).await,
            invalid("MODEL_INVALID"),
        );
    }
    let mut client = ModelServiceClient::new(mesh.channel());
    let request = PushModelRequest {
        name: "nope".into(),
        content: Bytes::from_static(b"no model"),
    };
    failed(client.push_model(request).await, Code::InvalidArgument, "MODEL_INVALID");
    let listed = rest.get("/api/v1/models").await.json();
    let models = listed["models"].as_array().expect("a list");
    assert!(models.iter().all(|model| model["name"] != "nope"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inference_protocol_has_errors_of_its_own_form() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let cases = [
        (rest.get("/v2/models/nope").await, 404, "MODEL_NOT_FOUND"),
        (rest.post("/v2/models/nope/infer", "{}").await, 404, "MODEL_NOT_FOUND"),
        (rest.get("/v2/models/nope/versions/3").await, 404, "MODEL_NOT_FOUND"),
        (rest.get("/v2/nope").await, 404, "ROUTE_NOT_FOUND"),
        (rest.post("/v2/health/live", "").await, 405, "METHOD_NOT_ALLOWED"),
    ];
    for (answer, status, reason) in cases {
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
        assert_eq!(answer.header("lepton-reason"), Some(reason), "{}", answer.text());
        let body = answer.json();
        assert!(
            body["error"].as_str().is_some_and(|error| !error.is_empty()),
            "{}",
            answer.text()
        );
        assert_eq!(body.as_object().map(|body| body.len()), Some(1), "{}", answer.text());
    }
    // Over gRPC they are as everywhere.
    let mut client = GrpcInferenceServiceClient::new(mesh.channel());
    let metadata = ModelMetadataRequest {
        name: "nope".into(),
        ..Default::default()
    };
    let metadata = client.model_metadata(metadata).await;
    failed(metadata, Code::NotFound, "MODEL_NOT_FOUND");
    for version in ["", "3"] {
        let request = ModelInferRequest {
            model_name: "nope".into(),
            model_version: version.into(),
            ..Default::default()
        };
        let answer = client.model_infer(request).await;
        failed(answer, Code::NotFound, "MODEL_NOT_FOUND");
    }
    let request = ModelInferRequest {
        model_name: "nope".into(),
        model_version: "newest".into(),
        ..Default::default()
    };
    let answer = client.model_infer(request).await;
    failed(answer, Code::InvalidArgument, "FIELD_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_rpcs_are_unimplemented() {
    let mesh = shared().await;
    let mut client = tonic::client::Grpc::new(mesh.channel());
    for path in ["/lepton.task.v1.TaskService/Nope", "/nope.v1.NopeService/Nope"] {
        client.ready().await.expect("the gateway answers");
        let path = http::uri::PathAndQuery::from_static(path);
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let status = client
            .unary(tonic::Request::new(()), path, codec)
            .await
            .expect_err("there is no such RPC");
        assert_eq!(status.code(), Code::Unimplemented, "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_are_refused() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let with_origin = |method: Method, origin: &str| {
        let mut request = rest.request(method, "/api/v1/tasks", Bytes::new());
        request
            .headers_mut()
            .insert("origin", origin.parse().expect("a header"));
        request
    };
    let refusal = Refusal {
        http: 403,
        status: "PERMISSION_DENIED",
        reason: "ORIGIN_REFUSED",
    };
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        refused(&rest.send(with_origin(Method::GET, origin)).await, refusal);
        refused(&rest.send(with_origin(Method::OPTIONS, origin)).await, refusal);
    }
    let own = rest.send(with_origin(Method::GET, &mesh.gateway)).await;
    assert_eq!(own.status, 200, "{}", own.text());
}
