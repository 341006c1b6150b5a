//! Every error that the surface names: exact status and reason over REST and gRPC, and nothing half done afterwards.

use std::panic::Location;

use http::StatusCode;
use lepton_core::net::Net;
use lepton_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use lepton_proto::task::v1::task_service_client::TaskServiceClient;
use lepton_tests::rest::{Answer, Rest};
use serde_json::Value;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

mod limits;
mod outage;
mod requests;
mod routes;
mod tasks;
mod up;

/// How an error looks over REST.
#[derive(Debug, Clone, Copy)]
struct Refusal {
    http: u16,
    status: &'static str,
    reason: &'static str,
}

const fn invalid(reason: &'static str) -> Refusal {
    Refusal {
        http: 400,
        status: "INVALID_ARGUMENT",
        reason,
    }
}

const fn not_found(reason: &'static str) -> Refusal {
    Refusal {
        http: 404,
        status: "NOT_FOUND",
        reason,
    }
}

const fn unavailable(reason: &'static str) -> Refusal {
    Refusal {
        http: 503,
        status: "UNAVAILABLE",
        reason,
    }
}

/// Asserts that an answer is this error in the one form that all errors have. Gives the metadata of its `ErrorInfo`.
#[track_caller]
fn refused(answer: &Answer, wanted: Refusal) -> Value {
    let text = answer.text();
    assert_eq!(answer.status.as_u16(), wanted.http, "{wanted:?}: {text}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{text}");
    let body = answer.json();
    assert_eq!(
        body.as_object().map(|body| body.len()),
        Some(1),
        "nothing beside `error`: {text}"
    );
    let error = &body["error"];
    assert_eq!(error["code"], wanted.http, "{text}");
    assert_eq!(error["status"], wanted.status, "{text}");
    assert!(
        error["message"].as_str().is_some_and(|message| message.len() > 8),
        "a message that says something: {text}"
    );
    let info = answer
        .detail("ErrorInfo")
        .unwrap_or_else(|| panic!("no ErrorInfo: {text}"));
    assert_eq!(info["reason"], wanted.reason, "{text}");
    assert_eq!(info["domain"], "lepton", "{text}");
    assert!(info["metadata"].is_object(), "{text}");
    assert_eq!(
        answer.detail("RetryInfo").is_some(),
        wanted.http == 503,
        "a delay where a retry helps: {text}"
    );
    info["metadata"].clone()
}

/// Asserts that an error says when to try again, both for programs and for HTTP's own clients.
#[track_caller]
fn says_when(answer: &Answer) {
    let delay = answer.detail("RetryInfo").map(|info| info["retryDelay"].clone());
    let delay = delay
        .as_ref()
        .and_then(Value::as_str)
        .and_then(|delay| delay.strip_suffix('s'));
    assert!(
        delay
            .and_then(|delay| delay.parse::<f64>().ok())
            .is_some_and(|delay| delay > 0.0),
        "{}",
        answer.text()
    );
    assert!(
        answer
            .header("retry-after")
            .is_some_and(|seconds| seconds.parse::<u32>().is_ok()),
        "{:?}",
        answer.headers
    );
}

/// The message of a refusal.
fn message(answer: &Answer) -> String {
    answer.json()["error"]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Asserts that a gRPC call failed with this code and reason, in the one form that all errors have.
#[track_caller]
fn failed<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, reason: &str) {
    let status = result.expect_err("the call is refused");
    let details = status.get_error_details();
    let info = details
        .error_info()
        .unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(
        (status.code(), info.reason.as_str(), info.domain.as_str()),
        (code, reason, "lepton"),
        "{status:?}"
    );
    assert!(!status.message().is_empty(), "{status:?}");
    assert_eq!(
        details.retry_info().is_some(),
        code == Code::Unavailable,
        "a delay where a retry helps: {status:?}"
    );
}

fn analysis(channel: Channel) -> AnalysisServiceClient<Channel> {
    AnalysisServiceClient::new(channel).max_encoding_message_size(usize::MAX)
}

fn tasks(channel: Channel) -> TaskServiceClient<Channel> {
    TaskServiceClient::new(channel)
}

/// Asserts that a mesh still does its work: an analysis, and a task to its end.
#[track_caller]
fn still_works(rest: &Rest) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        let rows = rest.post("/api/v1/analyze", r#"{"data":[{"a":1}]}"#).await;
        assert_eq!(rows.status, StatusCode::OK, "{caller}: {}", rows.text());
        let task = rest.post("/api/v1/tasks", r#"{"kind":"echo","input":1}"#).await;
        assert_eq!(task.status, StatusCode::OK, "{caller}: {}", task.text());
        let id = task.json()["id"].as_str().expect("a task has an id").to_owned();
        let ended = rest.get(&format!("/api/v1/tasks/{id}:wait?timeout=30s")).await;
        assert_eq!(ended.json()["state"], "STATE_SUCCEEDED", "{caller}: {}", ended.text());
    }
}

/// How many tasks the ledger holds.
async fn task_count(rest: &Rest) -> u64 {
    let answer = rest.get("/api/v1/journal").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let count = answer.json()["taskCount"].as_str().and_then(|count| count.parse().ok());
    count.unwrap_or_else(|| panic!("no task count: {}", answer.text()))
}

/// A gRPC channel to the server that a REST client talks to.
fn channel(rest: &Rest) -> Channel {
    Net::Os.channel(rest.authority())
}
