//! Training as a task: figures agree with scikit-learn, files with onnxruntime, and what is wrong is named.

use std::path::PathBuf;

use http::StatusCode;
use lepton_tests::mesh::Up;
use lepton_tests::rest::Rest;
use lepton_tests::venv::{run, venv};
use serde_json::{Value, json};

use crate::shared_mesh::shared;

mod refusals;
mod serve;

const TASKS: &str = "/api/v1/tasks";

/// Runs a task to its end.
async fn ended(rest: &Rest, kind: &str, input: &Value) -> Value {
    let task = rest.submit(TASKS, &json!({"kind": kind, "input": input})).await;
    let id = task["id"].as_str().expect("a task has an id");
    let ended = rest.get(&format!("{TASKS}/{id}:wait?timeout=100s")).await.json();
    assert!(ended.get("endTime").is_some(), "it ends: {ended}");
    ended
}

/// The output of a task that has to succeed.
async fn output(rest: &Rest, kind: &str, input: &Value) -> Value {
    let ended = ended(rest, kind, input).await;
    assert_eq!(ended["state"], "STATE_SUCCEEDED", "{}", ended["error"]);
    ended["output"].clone()
}

/// Uploads a table and gives its name.
async fn upload(rest: &Rest, content: &str) -> Value {
    let answer = rest.post("/api/v1/blobs", content.to_owned()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()["blob"].clone()
}

/// The one file that is kept of a model.
fn file(mesh: &Up, model: &str) -> PathBuf {
    let folder = mesh.data.path().join("blobs/models").join(model);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files = files.map(|entry| entry.expect("it can be listed").path());
    let first = files.next().expect("a file is kept");
    assert_eq!(files.next(), None, "a version was kept twice");
    first
}

/// Trains and judges one case of `train_tables.py`.
async fn outcome(mesh: &Up, case: Value) -> Value {
    let rest = mesh.rest();
    let model = format!("compare-{}", case["name"].as_str().expect("a case has a name"));
    let mut input = case["input"].clone();
    if let Some(csv) = case["csv"].as_str() {
        input["blob"] = upload(&rest, csv).await;
    }
    input["model"] = json!(model);
    let trained = output(&rest, "train", &input).await;
    assert_eq!(
        trained["model"],
        json!({"name": model, "version": 1, "opset": 13, "deployed": false})
    );
    let target = &input["target"];
    let mut judged = json!({"target": target, "model": model, "version": 1});
    let rows = if input.get("blob").is_some() { "blob" } else { "data" };
    judged[rows] = input[rows].clone();
    let evaluation = output(&rest, "evaluate", &judged).await;
    assert_eq!(evaluation["model"], json!({"name": model, "version": 1}));
    json!({"case": case, "output": trained, "evaluation": evaluation, "onnx": file(mesh, &model)})
}

#[tokio::test(flavor = "multi_thread")]
async fn trainings_agree_with_scikit_learn() {
    let mesh = shared().await;
    let cases = tokio::task::spawn_blocking(|| run(venv().script("train_tables.py"), b"").stdout);
    let cases = String::from_utf8(cases.await.expect("it does not panic")).expect("JSON is UTF-8");
    let mut outcomes = String::new();
    for case in cases.lines() {
        let case: Value = serde_json::from_str(case).expect("the cases are JSON");
        outcomes.push_str(&outcome(&mesh, case).await.to_string());
        outcomes.push('\n');
    }
    assert!(outcomes.lines().count() >= 10, "all cases were run");
    let compared =
        tokio::task::spawn_blocking(move || run(venv().script("train_compare.py"), outcomes.as_bytes()).stdout);
    println!("{}", String::from_utf8_lossy(&compared.await.expect("they agree")));
}
