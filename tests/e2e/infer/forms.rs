//! The forms in which tensors come and go over REST.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use lepton_tests::rest::Answer;
use serde_json::{Value, json};

use super::{Stage, stage, tensor};

/// KServe's first example of the protocol, as its documentation has it.
const IRIS: &str = r#"{
  "inputs": [
    {
      "name": "input-0",
      "shape": [2, 4],
      "datatype": "FP32",
      "data": [
        [6.8, 2.8, 4.8, 1.4],
        [6.0, 3.4, 4.5, 1.6]
      ]
    }
  ]
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_kserve_answers() {
    let stage = stage().await;
    let mut request = stage.rest().request(Method::POST, "/v2/models/iris/infer", IRIS.into());
    // As curl -d sends it.
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert("content-type", form);
    let answer = stage.rest().send(request).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let told = answer.json();
    assert_eq!(
        (&told["model_name"], &told["model_version"]),
        (&json!("iris"), &json!("1")),
        "{told}"
    );
    let output = &told["outputs"][0];
    assert_eq!(
        (&output["name"], &output["shape"], &output["datatype"]),
        (&json!("output-0"), &json!([2]), &json!("INT64")),
        "{told}"
    );
    assert_eq!(output["data"].as_array().map(Vec::len), Some(2), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn flat_and_nested_data_are_one_tensor() {
    let stage = stage().await;
    let nested = stage
        .infer("iris", &serde_json::from_str(IRIS).expect("it is JSON"))
        .await;
    let flat = json!([6.8, 2.8, 4.8, 1.4, 6.0, 3.4, 4.5, 1.6]);
    let flat = json!({"inputs": [tensor("input-0", "FP32", &[2, 4], flat)]});
    assert_eq!(stage.infer("iris", &flat).await, nested);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_and_its_models_describe_themselves() {
    let stage = stage().await;
    let rest = stage.rest();
    let server = rest.get("/v2").await.json();
    assert_eq!(
        (&server["name"], &server["extensions"]),
        (&json!("lepton"), &json!(["binary_tensor_data"])),
        "{server}"
    );
    for path in ["/v2/models/iris", "/v2/models/iris/versions/1"] {
        let model = rest.get(path).await.json();
        assert_eq!(
            model,
            json!({
                "name": "iris",
                "versions": ["1"],
                "platform": "onnx_onnxv1",
                "inputs": [{"name": "input-0", "datatype": "FP32", "shape": [-1, 4]}],
                "outputs": [{"name": "output-0", "datatype": "INT64", "shape": [-1]}],
            }),
            "{path}"
        );
        let ready = rest.get(&format!("{path}/ready")).await;
        assert_eq!(ready.status, StatusCode::OK, "{}", ready.text());
    }
}

/// The request of a binary tensor: JSON, then bytes.
async fn binary(stage: &Stage, model: &str, head: &Value, content: &[u8]) -> Answer {
    let head = head.to_string();
    let body = Bytes::from([head.as_bytes(), content].concat());
    let rest = stage.rest();
    let mut request = rest.request(Method::POST, &format!("/v2/models/{model}/infer"), body);
    let length = HeaderValue::from(head.len());
    request.headers_mut().insert("inference-header-content-length", length);
    rest.send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_tensors_go_in_and_come_out() {
    let stage = stage().await;
    let features: Vec<u8> = [1.0_f64, 2.0].iter().flat_map(|number| number.to_le_bytes()).collect();
    let head = json!({
        "id": "b",
        "parameters": {"binary_data_output": true},
        "inputs": [{"name": "features", "datatype": "FP64", "shape": [1, 2], "parameters": {"binary_data_size": 16}}],
    });
    let answer = binary(&stage, "line", &head, &features).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    let whole = answer.body.len().to_string();
    assert_eq!(answer.header("content-length"), Some(whole.as_str()));
    let length: usize = answer
        .header("inference-header-content-length")
        .and_then(|length| length.parse().ok())
        .expect("the answer says where its JSON ends");
    let told: Value = serde_json::from_slice(&answer.body[..length]).expect("it is JSON");
    assert_eq!(told["id"], "b", "{told}");
    assert_eq!(told["outputs"][0]["parameters"]["binary_data_size"], 8, "{told}");
    assert_eq!(answer.body[length..], 8.5_f64.to_le_bytes());

    let truncated = binary(&stage, "line", &head, &features[..9]).await;
    super::refused(&truncated, 400, "TENSOR_DATA", &["features", "16", "9"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_body_is_the_only_input() {
    let stage = stage().await;
    let rest = stage.rest();
    let features: Vec<u8> = [1.0_f64, 2.0, 0.0, 0.0]
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    let raw = |model: &str, content: &[u8]| {
        let path = format!("/v2/models/{model}/infer");
        let mut request = rest.request(Method::POST, &path, Bytes::copy_from_slice(content));
        let headers = request.headers_mut();
        headers.insert("inference-header-content-length", HeaderValue::from_static("0"));
        headers.insert("content-type", HeaderValue::from_static("application/octet-stream"));
        rest.send(request)
    };
    let answer = raw("line", &features).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let numbers = [8.5_f64.to_le_bytes(), 0.5_f64.to_le_bytes()].concat();
    assert!(answer.body.ends_with(&numbers), "{}", answer.text());
    super::refused(
        &raw("line", &features[..17]).await,
        400,
        "TENSOR_DATA",
        &["features", "17"],
    );
    super::refused(&raw("simple", &features).await, 400, "TENSOR_MISSING", &["one input"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn integers_come_back_to_the_last_digit() {
    let stage = stage().await;
    let empty: Vec<Value> = [
        "BOOL", "UINT8", "UINT16", "UINT32", "INT8", "INT16", "INT32", "FP32", "FP64", "BYTES",
    ]
    .iter()
    .map(|datatype| tensor(&format!("in_{datatype}"), datatype, &[0], json!([])))
    .collect();
    let mut inputs = empty;
    inputs.push(json!({"name": "in_FP16", "datatype": "FP16", "shape": [0]}));
    inputs.push(tensor(
        "in_UINT64",
        "UINT64",
        &[1],
        json!([18_446_744_073_709_551_615_u64]),
    ));
    inputs.push(tensor(
        "in_INT64",
        "INT64",
        &[2],
        json!([9_007_199_254_740_993_i64, i64::MIN]),
    ));
    let body = json!({"inputs": inputs, "outputs": [{"name": "out_UINT64"}, {"name": "out_INT64"}]});
    let told = stage.infer("types", &body).await;
    assert_eq!(
        told["outputs"][0]["data"],
        json!([18_446_744_073_709_551_615_u64]),
        "{told}"
    );
    assert_eq!(
        told["outputs"][1]["data"],
        json!([9_007_199_254_740_993_i64, i64::MIN]),
        "{told}"
    );
}
