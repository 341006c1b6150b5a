//! Wrong inputs over REST and gRPC: the reason, the tensor, what was expected and what came.

use lepton_proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use lepton_proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use lepton_proto::inference::*;
use lepton_tests::rest::Answer;
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::{Stage, refused, stage, tensor};

const SIMPLE: &str = "/v2/models/simple/infer";

/// One row of sixteen.
fn row(name: &str) -> Value {
    tensor(name, "INT32", &[1, 16], json!(vec![7; 16]))
}

async fn simple(stage: &Stage, inputs: Value) -> Answer {
    stage.rest().post(SIMPLE, json!({"inputs": inputs}).to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tensors_are_refused_with_what_was_expected() {
    let stage = stage().await;
    let (first, second) = (row("INPUT0"), row("INPUT1"));
    let answer = simple(&stage, json!([first])).await;
    refused(&answer, 400, "TENSOR_MISSING", &["INPUT1"]);
    let answer = simple(&stage, json!([first, second, row("MORE")])).await;
    refused(&answer, 400, "TENSOR_UNKNOWN", &["MORE"]);
    let typed = tensor("INPUT1", "FP32", &[1, 16], json!(vec![7; 16]));
    let answer = simple(&stage, json!([first, typed])).await;
    refused(&answer, 400, "TENSOR_TYPE", &["INPUT1", "INT32", "FP32"]);
    let shaped = tensor("INPUT1", "INT32", &[1, 15], json!(vec![7; 15]));
    let answer = simple(&stage, json!([first, shaped])).await;
    refused(&answer, 400, "TENSOR_SHAPE", &["INPUT1", "16", "15"]);
    let short = tensor("INPUT1", "INT32", &[1, 16], json!(vec![7; 15]));
    let answer = simple(&stage, json!([first, short])).await;
    refused(&answer, 400, "TENSOR_DATA", &["INPUT1", "15", "16"]);
    let beyond = tensor("INPUT1", "INT32", &[1, 16], json!(vec![2_147_483_648_u64; 16]));
    let answer = simple(&stage, json!([first, beyond])).await;
    refused(&answer, 400, "TENSOR_DATA", &["INPUT1", "INT32", "2147483648"]);
    let body = json!({"inputs": [first, second], "outputs": [{"name": "OUTPUT9"}]});
    let answer = stage.rest().post(SIMPLE, body.to_string()).await;
    refused(&answer, 400, "TENSOR_UNKNOWN", &["OUTPUT9"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bodies_and_models_are_refused() {
    let stage = stage().await;
    let rest = stage.rest();
    let answer = rest.post(SIMPLE, "{\"inputs\":[\n{\"name\":}]}").await;
    refused(&answer, 400, "INVALID_JSON", &["line 2, column 9"]);
    let answer = rest.post(SIMPLE, r#"{"inputs":[],"color":1}"#).await;
    refused(&answer, 400, "UNKNOWN_FIELD", &["color"]);
    let answer = rest
        .post(
            "/v2/models/logarithm/infer",
            r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[NaN]}]}"#,
        )
        .await;
    refused(&answer, 400, "INVALID_JSON", &["NaN", "binary"]);
    let answer = rest.post("/v2/models/nope/infer", "{}").await;
    refused(&answer, 404, "MODEL_NOT_FOUND", &["nope"]);
    let answer = rest.post("/v2/models/simple/versions/9/infer", "{}").await;
    refused(&answer, 404, "MODEL_NOT_FOUND", &["simple", "9"]);
    let answer = rest.get("/v2/models/simple/versions/9").await;
    refused(&answer, 404, "MODEL_NOT_FOUND", &["simple", "9"]);
    let answer = rest.get("/v2/models/simple/versions/9/ready").await;
    refused(&answer, 404, "MODEL_NOT_FOUND", &["simple", "9"]);
    let answer = rest.get(SIMPLE).await;
    refused(&answer, 405, "METHOD_NOT_ALLOWED", &["POST"]);
}

/// A request for `simple` with these inputs.
fn request(inputs: Vec<InferInputTensor>, contents: &[usize]) -> ModelInferRequest {
    ModelInferRequest {
        model_name: "simple".into(),
        inputs,
        raw_input_contents: contents.iter().map(|length| vec![0; *length].into()).collect(),
        ..Default::default()
    }
}

fn input(name: &str, datatype: &str, shape: [i64; 2]) -> InferInputTensor {
    InferInputTensor {
        name: name.into(),
        datatype: datatype.into(),
        shape: shape.to_vec(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_refuses_the_same_with_details() {
    let stage = stage().await;
    let row = |name: &str| input(name, "INT32", [1, 16]);
    let good = || vec![row("INPUT0"), row("INPUT1")];
    let named = |model: &str, version: &str| ModelInferRequest {
        model_name: model.into(),
        model_version: version.into(),
        ..request(good(), &[64, 64])
    };
    let wanting = ModelInferRequest {
        outputs: vec![InferRequestedOutputTensor {
            name: "OUTPUT9".into(),
            ..Default::default()
        }],
        ..request(good(), &[64, 64])
    };
    let cases = [
        (
            request(vec![row("INPUT0")], &[64]),
            Code::InvalidArgument,
            "TENSOR_MISSING",
        ),
        (
            request(vec![row("INPUT0"), row("OTHER")], &[64, 64]),
            Code::InvalidArgument,
            "TENSOR_UNKNOWN",
        ),
        (
            request(vec![row("INPUT0"), input("INPUT1", "FP32", [1, 16])], &[64, 64]),
            Code::InvalidArgument,
            "TENSOR_TYPE",
        ),
        (
            request(vec![row("INPUT0"), input("INPUT1", "INT32", [1, 15])], &[64, 60]),
            Code::InvalidArgument,
            "TENSOR_SHAPE",
        ),
        (request(good(), &[64, 63]), Code::InvalidArgument, "TENSOR_DATA"),
        (wanting, Code::InvalidArgument, "TENSOR_UNKNOWN"),
        (named("nope", ""), Code::NotFound, "MODEL_NOT_FOUND"),
        (named("simple", "9"), Code::NotFound, "MODEL_NOT_FOUND"),
        (named("simple", "x"), Code::InvalidArgument, "FIELD_INVALID"),
        (named("", ""), Code::InvalidArgument, "FIELD_INVALID"),
    ];
    let mut client = GrpcInferenceServiceClient::new(stage.up.channel());
    for (request, code, reason) in cases {
        let status = client.model_infer(request).await.expect_err(reason);
        let details = status.get_error_details();
        let told = details.error_info().map(|info| info.reason.as_str());
        assert_eq!((status.code(), told), (code, Some(reason)), "{status:?}");
        assert!(!status.message().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_not_deployed_says_so() {
    let stage = stage().await;
    let rest = stage.rest();
    let undeployed = rest.post("/api/v1/models/spare:undeploy", "{}").await;
    assert_eq!(undeployed.status, 200, "{}", undeployed.text());
    let answer = rest.post("/v2/models/spare/infer", "{}").await;
    refused(&answer, 400, "MODEL_NOT_DEPLOYED", &["spare"]);
    let answer = rest.get("/v2/models/spare/ready").await;
    refused(&answer, 400, "MODEL_NOT_DEPLOYED", &["spare"]);
    let deployed = rest.post("/api/v1/models/spare:deploy", "{}").await;
    assert_eq!(deployed.status, 200, "{}", deployed.text());
    let answer = rest.get("/v2/models/spare/ready").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}
