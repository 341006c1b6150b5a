//! Errors as HTTP answers.
//!
//! Promises: the body is that of `google.rpc.Status` in proto-JSON, as Google's APIs write it. Leaves choosing
//! between the two forms to the gateway's routes.

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use lepton_domain::reason::ApiError;
use serde_json::{Value, json};

use super::bounds::bounded;
use super::{DOMAIN, REASON_HEADER};

mod names;

/// The answer of `/api` and of everything that is not `/v2`.
pub fn rest(error: &ApiError) -> Response<Body> {
    answer(error, &rest_body(error))
}

/// The body of that answer, for places that carry it inside another one. Fields have their JSON names in it.
pub fn rest_body(api_error: &ApiError) -> Value {
    let api_error = bounded(api_error);
    json!({
        "error": {
            "code": api_error.reason.http_status(),
            "status": api_error.code().name(),
            "message": names::message(&api_error),
            "details": details(&api_error),
        }
    })
}

/// The answer under `/v2`, whose clients know `error` only.
pub fn v2(api_error: &ApiError) -> Response<Body> {
    let mut response = answer(api_error, &json!({ "error": bounded(api_error).message }));
    response
        .headers_mut()
        .insert(REASON_HEADER, HeaderValue::from_static(api_error.reason.as_str()));
    response
}

fn details(error: &ApiError) -> Vec<Value> {
    let mut details = vec![json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.reason.as_str(),
        "domain": DOMAIN,
        "metadata": error.metadata,
    })];
    if let Some(delay) = error.retry_after {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", delay.as_millis() as f64 / 1e3),
        }));
    }
    if !error.violations.is_empty() {
        let violations = error.violations.iter();
        let violations = violations.map(|it| json!({ "field": names::path(&it.field), "description": it.description }));
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": violations.collect::<Vec<_>>(),
        }));
    }
    if let Some(quota) = &error.quota {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{ "subject": quota.subject, "description": quota.description }],
        }));
    }
    details
}

fn answer(error: &ApiError, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() =
        StatusCode::from_u16(error.reason.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(delay) = error.retry_after {
        // The header knows whole seconds only: round up, so that nobody comes too early.
        headers.insert(RETRY_AFTER, HeaderValue::from(delay.as_millis().div_ceil(1_000) as u64));
    }
    response
}
