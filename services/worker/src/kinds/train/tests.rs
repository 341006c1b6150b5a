//! Inputs, outputs and files of a training; the registry is tested with the whole mesh.

use std::collections::BTreeMap;

use lepton_analysis::onnx::Linear;
use lepton_analysis::train::{Descent, Method};
use lepton_core::clock::Clock;
use lepton_domain::ids::TaskId;
use lepton_domain::model::Signature;
use lepton_domain::reason::{ApiError, Reason};
use serde_json::{Value, json};

use super::*;
use crate::model::{Backend, LoadError, LoadedModel, RunError, Tensor, TensorError, Tract};

fn request(input: &Value) -> Result<(TrainRequest, Source), ApiError> {
    Ok(request::decode(input.to_string().as_bytes(), &|| false)?)
}

/// y = 1 + 2a, in forty rows of which one lacks a value.
fn rows() -> Value {
    let row = |i: i32| json!({"a": i * i % 7, "t": "x", "y": 1 + 2 * (i * i % 7)});
    let mut rows: Vec<Value> = (0..40).map(row).collect();
    rows[7]["a"] = Value::Null;
    Value::from(rows)
}

fn trained(mut input: Value) -> Result<(Value, TrainRequest, TrainReport), ApiError> {
    input["data"] = rows();
    let (request, source) = request(&input)?;
    let Source::Rows(table) = source else {
        panic!("{source:?}")
    };
    let trained = fit(&request, &table, &Progress::new(Clock::system()).0, &|| false).map_err(Error::Training)?;
    let report = TrainReport::new(&request, &table, trained);
    let output: Value = serde_json::from_slice(&output::from_report(&report)?.content).expect("an output is JSON");
    Ok((output, request, report))
}

#[test]
fn defaults_are_as_they_are_documented() {
    let (request, _) = request(&json!({"data": rows(), "target": "y"})).unwrap();
    assert_eq!(
        (request.plan.method, request.plan.test_share, request.plan.seed),
        (Method::ClosedForm, 0.2, 42)
    );
    assert_eq!(
        (request.plan.features, request.model, request.deploy),
        (None, None, false)
    );
    let (request, source) = self::request(&json!({
        "blob": "b", "target": "y", "features": ["a"], "algorithm": "linear", "method": "gradient_descent",
        "learning_rate": 0.5, "epochs": 7, "tolerance": 0, "test_share": 0, "seed": 9, "model": "m", "deploy": true,
    }))
    .unwrap();
    let descent = Descent {
        learning_rate: Some(0.5),
        epochs: 7,
        tolerance: 0.0,
    };
    assert_eq!(request.plan.method, Method::GradientDescent(descent));
    assert_eq!(
        (request.model.as_deref(), request.deploy, request.plan.seed),
        (Some("m"), true, 9)
    );
    assert!(matches!(source, Source::Blob(blob) if blob == "b"));
    let (request, _) = self::request(&json!({"data": rows(), "target": "y", "method": "gradient_descent"})).unwrap();
    let descent = Descent {
        learning_rate: None,
        epochs: 1_000,
        tolerance: 1e-9,
    };
    assert_eq!(request.plan.method, Method::GradientDescent(descent));
}

/// Edits a valid input and expects this reason, and these words.
fn refused(edit: Value, reason: Reason, words: &str) {
    let mut input = json!({"blob": "b", "target": "a"});
    for (key, value) in edit.as_object().expect("an object") {
        input[key] = value.clone();
    }
    let error = request(&input).expect_err("wrong");
    assert_eq!(error.reason, reason, "{input}: {error}");
    assert!(error.message.contains(words), "{input}: {}", error.message);
}

#[test]
fn every_wrong_field_is_named() {
    for (field, value) in [
        ("target", Value::Null),
        ("blob", json!(1)),
        ("algorithm", json!("forest")),
        ("method", json!("svd")),
        ("learningRate", json!(0)),
        ("learningRate", json!("x")),
        ("epochs", json!(0)),
        ("epochs", json!(1.5)),
        ("tolerance", json!(-1)),
        ("testShare", json!(1)),
        ("seed", json!(-1)),
        ("features", json!("x")),
        ("model", json!("No!")),
        ("deploy", json!(true)),
        ("deploy", json!(1)),
    ] {
        refused(json!({field: value}), Reason::FieldInvalid, field);
    }
    refused(json!({"rows": 1}), Reason::UnknownField, "rows");
    refused(json!({"data": [{"a": 1}]}), Reason::FieldInvalid, "blob");
    refused(json!({"blob": null}), Reason::NoRows, "`data`");
    assert_eq!(request(&json!([1])).expect_err("a list").reason, Reason::InvalidJson);
}

#[test]
fn wrong_rows_have_their_reason() {
    let cases = [
        (json!({"target": "z"}), Reason::TargetNotFound),
        (json!({"target": "t"}), Reason::TargetNotNumeric),
        (json!({"target": "y", "features": ["z"]}), Reason::FieldInvalid),
        (json!({"target": "y", "features": []}), Reason::TrainingDataInsufficient),
        (
            json!({"target": "y", "testShare": 0.99}),
            Reason::TrainingDataInsufficient,
        ),
    ];
    for (input, reason) in cases {
        assert_eq!(trained(input).expect_err("wrong").reason, reason);
    }
}

#[test]
fn the_output_has_the_fields_of_the_contract() {
    let (output, request, report) = trained(json!({"target": "y", "model": "m"})).unwrap();
    assert_eq!((&output["rowCount"], &output["rowsLeftOut"]), (&json!(39), &json!(1)));
    let near = |value: &Value, expected: f64| (value.as_f64().unwrap() - expected).abs() < 1e-12;
    assert!(
        near(&output["intercept"], 1.0) && near(&output["coefficients"]["a"], 2.0),
        "{output}"
    );
    assert_eq!(output["metrics"]["test"]["rowCount"], 8);
    assert!(near(&output["metrics"]["test"]["r2"], 1.0));
    assert_eq!((&output["lossHistory"], output.get("epochs")), (&json!([]), None));
    assert_eq!(
        output["cleaned"],
        json!([{"column": "a", "action": "CLEANING_ACTION_ROW_INCOMPLETE", "count": 1}])
    );
    let lineage: BTreeMap<String, String> = report::lineage(TaskId::from_u128(7), "d".into(), &request, &report);
    let keys: Vec<&str> = lineage.keys().map(String::as_str).collect();
    assert_eq!(keys, ["dataDigest", "method", "metrics", "parameters", "task"]);
}

#[test]
fn a_descent_reports_its_course() {
    let (output, ..) = trained(json!({"target": "y", "method": "gradient_descent", "epochs": 50})).unwrap();
    assert_eq!((&output["epochs"], &output["lossEvery"]), (&json!(50), &json!(1)));
    assert_eq!(
        (&output["learningRate"], &output["converged"]),
        (&json!(0.1), &json!(false))
    );
    let losses: Vec<f64> = serde_json::from_value(output["lossHistory"].clone()).unwrap();
    assert!(losses.len() == 50 && losses.windows(2).all(|pair| pair[1] < pair[0]));
}

#[test]
fn a_divergence_says_so_and_is_not_tried_again() {
    let error = trained(json!({"target": "y", "method": "gradient_descent", "learningRate": 3})).unwrap_err();
    assert_eq!(error.reason, Reason::TrainingDiverged);
    assert!(
        error.message.contains("learning rate 3") && error.message.contains("or less converges"),
        "{error}"
    );
    assert!(!Failure::from(Error::Api(error)).retryable);
}

#[test]
fn progress_is_reported_on_the_way() {
    let input = json!({"data": rows(), "target": "y", "method": "gradient_descent", "epochs": 20, "tolerance": 0});
    let (request, source) = request(&input).unwrap();
    let Source::Rows(table) = source else {
        panic!("{source:?}")
    };
    let (progress, reports) = Progress::new(Clock::system());
    fit(&request, &table, &progress, &|| false).unwrap();
    let latest = format!("{:?}", *reports.borrow());
    assert!(
        latest.contains("fraction: 1.0") && latest.contains("\"loss\""),
        "{latest}"
    );
}

fn tract() -> Tract {
    Tract::new(1 << 30)
}

fn model() -> Linear {
    Linear {
        intercept: 1.0,
        coefficients: vec![("a".into(), 2.0)],
    }
}

fn table() -> Table {
    let (_, source) = request(&json!({"data": rows(), "target": "y"})).unwrap();
    match source {
        Source::Rows(table) => table,
        Source::Blob(blob) => panic!("{blob}"),
    }
}

#[test]
fn the_backend_predicts_what_the_training_does() {
    ExportedModel::new(&model(), &table(), &tract(), &|| false).unwrap();
    let wide = Linear {
        intercept: -1e9,
        coefficients: vec![("a".into(), 1e-3), ("y".into(), 1e8)],
    };
    ExportedModel::new(&wide, &table(), &tract(), &|| false).unwrap();
}

/// A backend that adds something.
#[derive(Debug)]
struct Off(f64);

#[derive(Debug)]
struct OffBy(std::sync::Arc<dyn LoadedModel>, f64);

impl Backend for Off {
    fn load(&self, file: &[u8], stop: &dyn Fn() -> bool) -> Result<std::sync::Arc<dyn LoadedModel>, LoadError> {
        Ok(std::sync::Arc::new(OffBy(tract().load(file, stop)?, self.0)))
    }
}

impl LoadedModel for OffBy {
    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        self.0.metadata()
    }

    fn run(&self, inputs: Vec<Tensor>, stop: &dyn Fn() -> bool) -> Result<Vec<Tensor>, RunError> {
        let wrong = |tensor: &Tensor| {
            let numbers = tensor
                .numbers()
                .unwrap_or_default()
                .into_iter()
                .map(|number| number + self.1);
            Tensor::from_numbers(tensor.name(), tensor.datatype(), tensor.shape().to_vec(), numbers)
        };
        let outputs = self.0.run(inputs, stop)?;
        let shifted: Result<_, TensorError> = outputs.iter().map(wrong).collect();
        Ok(shifted?)
    }
}

#[test]
fn a_file_that_predicts_something_else_is_not_kept() {
    ExportedModel::new(&model(), &table(), &Off(1e-12), &|| false).unwrap();
    let error = ExportedModel::new(&model(), &table(), &Off(1e-6), &|| false).unwrap_err();
    let api_error = ApiError::from(error);
    assert_eq!(api_error.reason, Reason::Internal, "a broken invariant");
    assert!(api_error.message.contains("it is not kept"), "{api_error}");
}
