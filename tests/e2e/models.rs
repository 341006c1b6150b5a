//! Models from their file to their last version, over REST and gRPC; uploads.

use std::path::Path;

use bytes::Bytes;
use http::{Method, StatusCode};
use lepton_analysis::onnx::Linear;
use lepton_tests::rest::{Answer, Rest};
use serde_json::{Value, json};

mod agree;
mod directory;
mod life;
mod outage;
mod refusals;
mod uploads;

/// A model that multiplies column `a` with `slope`.
fn file(slope: f64) -> Bytes {
    let coefficients = vec![("a".to_owned(), slope)];
    let linear = Linear {
        intercept: 0.0,
        coefficients,
    };
    linear.encode().into()
}

/// Calls something under `/api/v1/models/`, and gives the JSON of its answer. Panics unless it succeeds.
#[track_caller]
fn call(rest: &Rest, method: Method, path: impl Into<String>, body: impl Into<Bytes>) -> impl Future<Output = Value> {
    let caller = std::panic::Location::caller();
    let request = rest.request(method, &format!("/api/v1/models/{}", path.into()), body.into());
    async move {
        let answer = rest.send(request).await;
        assert_eq!(answer.status, StatusCode::OK, "{caller}: {}", answer.text());
        answer.json()
    }
}

#[track_caller]
pub fn push(rest: &Rest, name: &str, slope: f64) -> impl Future<Output = Value> {
    call(rest, Method::POST, format!("{name}:push"), file(slope))
}

#[track_caller]
fn deploy(rest: &Rest, name: &str, version: u32) -> impl Future<Output = Value> {
    let body = json!({"version": version}).to_string();
    call(rest, Method::POST, format!("{name}:deploy"), body)
}

/// Asks the model about a row in which `a` is 2.
async fn ask(rest: &Rest, name: &str) -> Answer {
    let body = json!({"data": [{"a": 2}], "model": name});
    rest.post("/api/v1/analyze", body.to_string()).await
}

/// The slope of the model that answers.
#[track_caller]
fn slope(rest: &Rest, name: &str) -> impl Future<Output = f64> {
    let caller = std::panic::Location::caller();
    async move {
        let answer = ask(rest, name).await;
        let prediction = answer.json()["predictions"][0].as_f64();
        prediction.unwrap_or_else(|| panic!("{caller}: {}", answer.text())) / 2.0
    }
}

/// Asserts the status and the reason of a refusal.
#[track_caller]
fn refused(answer: &Answer, status: u16, reason: &str) {
    let found = (answer.status.as_u16(), answer.reason());
    assert_eq!(found, (status, Some(reason.to_owned())), "{}", answer.text());
}

/// How many files of a model lie in the blob store.
fn files(blobs: &Path, name: &str) -> usize {
    let folder = std::fs::read_dir(blobs.join("models").join(name));
    folder.map_or(0, |folder| folder.count())
}
