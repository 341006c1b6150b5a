//! Faults as HTTP answers.
//!
//! Promises: the body is that of `google.rpc.Status` in proto-JSON, as Google's APIs write it. Leaves choosing
//! between the two forms to the gateway's routes.

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use lepton_domain::reason::Fault;
use serde_json::{Value, json};

use super::bounds::bounded;
use super::{DOMAIN, REASON_HEADER};

mod names;

/// The answer of `/api` and of everything that is not `/v2`.
pub fn rest(fault: &Fault) -> Response<Body> {
    answer(fault, &rest_body(fault))
}

/// The body of that answer, for places that carry it inside another one. Fields have their JSON names in it.
pub fn rest_body(fault: &Fault) -> Value {
    let fault = bounded(fault);
    json!({
        "error": {
            "code": fault.reason.http_status(),
            "status": fault.code().name(),
            "message": names::message(&fault),
            "details": details(&fault),
        }
    })
}

/// The answer under `/v2`, whose clients know `error` only.
pub fn v2(fault: &Fault) -> Response<Body> {
    let mut response = answer(fault, &json!({ "error": bounded(fault).message }));
    response
        .headers_mut()
        .insert(REASON_HEADER, HeaderValue::from_static(fault.reason.as_str()));
    response
}

fn details(fault: &Fault) -> Vec<Value> {
    let mut details = vec![json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": fault.reason.as_str(),
        "domain": DOMAIN,
        "metadata": fault.metadata,
    })];
    if let Some(delay) = fault.retry_after {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", delay.as_millis() as f64 / 1e3),
        }));
    }
    if !fault.violations.is_empty() {
        let violations = fault.violations.iter();
        let violations = violations.map(|it| json!({ "field": names::path(&it.field), "description": it.description }));
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": violations.collect::<Vec<_>>(),
        }));
    }
    if let Some(quota) = &fault.quota {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{ "subject": quota.subject, "description": quota.description }],
        }));
    }
    details
}

fn answer(fault: &Fault, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() =
        StatusCode::from_u16(fault.reason.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(delay) = fault.retry_after {
        // The header knows whole seconds only: round up, so that nobody comes too early.
        headers.insert(RETRY_AFTER, HeaderValue::from(delay.as_millis().div_ceil(1_000) as u64));
    }
    response
}
