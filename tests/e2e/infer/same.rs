//! One model and the same rows: one answer over Analyze, `/v2` and gRPC.

use bytes::Bytes;
use lepton_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use lepton_proto::analysis::v1::{AnalyzeRequest, Table, TableColumn};
use lepton_proto::inference::ModelInferRequest;
use lepton_proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use lepton_proto::inference::model_infer_request::InferInputTensor;
use prost_types::value::Kind;
use serde_json::json;

use super::{stage, tensor};

/// Rows of `a` and `b`.
const ROWS: [[f64; 2]; 3] = [[1.0, 2.0], [0.1, -0.3], [1e6, 1e-6]];

/// What `line` says to them: 2 a + 3 b + 0.5.
fn expected() -> Vec<f64> {
    ROWS.iter().map(|[a, b]| 2.0 * a + 3.0 * b + 0.5).collect()
}

#[track_caller]
fn close(got: &[f64]) {
    let expected = expected();
    assert_eq!(got.len(), expected.len(), "{got:?}");
    for (got, expected) in got.iter().zip(&expected) {
        assert!(
            (got - expected).abs() <= 1e-9 * expected.abs().max(1.0),
            "{got} {expected}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_gives_one_answer() {
    let stage = stage().await;
    let body = json!({"inputs": [tensor("features", "FP64", &[3, 2], json!(ROWS))]});
    let over_v2 = stage.infer("line", &body).await;
    let output = &over_v2["outputs"][0];
    assert_eq!(
        (&output["name"], &output["shape"], &output["datatype"]),
        (&json!("prediction"), &json!([3]), &json!("FP64")),
        "{over_v2}"
    );
    let over_v2: Vec<f64> = serde_json::from_value(output["data"].clone()).expect("numbers");
    close(&over_v2);

    let rows: Vec<_> = ROWS.iter().map(|[a, b]| json!({"a": a, "b": b})).collect();
    let asked = json!({"data": rows, "model": "line"});
    let analysed = stage.rest().submit("/api/v1/analyze", &asked).await;
    let predictions: Vec<f64> = serde_json::from_value(analysed["predictions"].clone()).expect("numbers");
    assert_eq!(predictions, over_v2, "{analysed}");

    let answer = infer_over_grpc(&stage).await;
    assert_eq!(answer, over_v2);
    let mut client = AnalysisServiceClient::new(stage.up.channel());
    let request = AnalyzeRequest {
        model: Some("line".into()),
        table: Some(table()),
        ..Default::default()
    };
    let analysed = client.analyze(request).await.expect("it answers").into_inner();
    let predictions: Vec<f64> = analysed.predictions.iter().filter_map(number).collect();
    assert_eq!(predictions, over_v2);
}

async fn infer_over_grpc(stage: &super::Stage) -> Vec<f64> {
    let mut client = GrpcInferenceServiceClient::new(stage.up.channel());
    let raw: Vec<u8> = ROWS.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
    let request = ModelInferRequest {
        model_name: "line".into(),
        inputs: vec![InferInputTensor {
            name: "features".into(),
            datatype: "FP64".into(),
            shape: vec![3, 2],
            ..Default::default()
        }],
        raw_input_contents: vec![Bytes::from(raw)],
        ..Default::default()
    };
    let answer = client.model_infer(request).await.expect("it answers").into_inner();
    assert_eq!(
        (answer.model_name.as_str(), answer.model_version.as_str()),
        ("line", "1")
    );
    let numbers = answer.raw_output_contents[0].chunks_exact(8);
    numbers
        .map(|bytes| f64::from_le_bytes(bytes.try_into().expect("eight bytes")))
        .collect()
}

/// A prediction; none where it is null.
fn number(prediction: &prost_types::Value) -> Option<f64> {
    match prediction.kind {
        Some(Kind::NumberValue(number)) => Some(number),
        _ => None,
    }
}

fn table() -> Table {
    let column = |index: usize, name: &str| TableColumn {
        name: name.into(),
        numbers: ROWS.iter().map(|row| row[index]).collect(),
        ..Default::default()
    };
    Table {
        columns: vec![column(0, "a"), column(1, "b")],
        row_count: 3,
    }
}
