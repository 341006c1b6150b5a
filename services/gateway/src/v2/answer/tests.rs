//! Answers in JSON, in binary, and mixed.

use std::collections::BTreeMap;

use axum::body::to_bytes;
use lepton_domain::reason::Reason;

use super::*;

fn answer() -> ModelInferResponse {
    let output = |name: &str, datatype: &str, shape: Vec<i64>| InferOutputTensor {
        name: name.into(),
        datatype: datatype.into(),
        shape,
        ..Default::default()
    };
    ModelInferResponse {
        model_name: "m".into(),
        model_version: "3".into(),
        id: "a \"b\"".into(),
        outputs: vec![output("y", "INT16", vec![2, 1]), output("z", "BYTES", vec![1])],
        raw_output_contents: vec![
            Bytes::from_static(&[1, 0, 255, 255]),
            Bytes::from_static(b"\x01\0\0\0k"),
        ],
        ..Default::default()
    }
}

fn form(binary: bool, by_output: &[(&str, bool)]) -> Form {
    let by_output = by_output.iter().map(|(name, binary)| ((*name).to_owned(), *binary));
    Form {
        binary,
        by_output: by_output.collect(),
    }
}

#[test]
fn json_alone() {
    let written = write(&answer(), &Form::default()).expect("good");
    assert_eq!(
        String::from_utf8(written.json).expect("UTF-8"),
        r#"{"id":"a \"b\"","model_name":"m","model_version":"3","outputs":[{"name":"y","datatype":"INT16","shape":[2,1],"data":[1,-1]},{"name":"z","datatype":"BYTES","shape":[1],"data":["k"]}]}"#
    );
    assert!(!written.has_binary && written.binary.is_empty());
}

#[tokio::test]
async fn binary_outputs_follow_in_order() {
    let written = write(&answer(), &form(true, &[("z", false)])).expect("good");
    let text = String::from_utf8(written.json.clone()).expect("UTF-8");
    assert!(
        text.contains(r#""shape":[2,1],"parameters":{"binary_data_size":4}}"#) && text.contains(r#""data":["k"]"#),
        "{text}"
    );
    let response = respond(written);
    assert_eq!(response.headers()["content-type"], "application/octet-stream");
    assert_eq!(response.headers()[JSON_LENGTH], text.len().to_string().as_str());
    let length = response.headers()["content-length"].clone();
    let body = to_bytes(response.into_body(), 4096).await.expect("short");
    assert_eq!(body, [text.as_bytes(), &[1, 0, 255, 255]].concat());
    assert_eq!(length, body.len().to_string().as_str());
}

#[test]
fn an_answer_without_its_contents_is_a_defect_of_the_worker() {
    let broken = ModelInferResponse {
        raw_output_contents: Vec::new(),
        ..answer()
    };
    assert_eq!(
        write(&broken, &Form::default()).expect_err("refused").reason,
        Reason::Internal
    );
    let mut strange = answer();
    strange.outputs[0].datatype = "COMPLEX64".into();
    assert_eq!(
        write(&strange, &Form::default()).expect_err("refused").reason,
        Reason::Internal
    );
    strange.outputs[0].parameters = BTreeMap::new();
    assert!(write(&strange, &form(true, &[])).is_ok(), "bytes pass as they are");
}
