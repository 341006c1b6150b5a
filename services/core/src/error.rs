//! Errors on the wire: gRPC statuses, REST bodies and back.
//!
//! Promises: one conversion for each form, each of a bounded size, whatever a caller sent; every error carries its reason,
//! domain and details, also those that the gRPC library makes by itself; an error that crosses a hop arrives as it was. Leaves
//! choosing the reason to whoever fails.

use std::collections::HashMap;
use std::time::Duration;

use lepton_domain::reason::{ApiError, Code, Reason};
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

pub use rest::{rest, rest_body, v2};

use bounds::bounded;

mod bounds;
mod foreign;
mod rest;
#[cfg(test)]
mod tests;

/// The domain of every `google.rpc.ErrorInfo` of the mesh.
pub const DOMAIN: &str = "lepton";
/// The header that carries the reason where the body cannot.
pub const REASON_HEADER: &str = "lepton-reason";

/// Converts an error to a gRPC status with [`ErrorInfo`](tonic_types::ErrorInfo), and `RetryInfo`, `BadRequest` and
/// `QuotaFailure` where they fit. Long texts are cut: an answer whose headers are too large would not arrive at all.
pub fn status(error: &ApiError) -> Status {
    status_with(error.code(), error)
}

/// Converts an error to a status of another code than its reason's: a protocol may demand one.
pub fn status_with(code: Code, error: &ApiError) -> Status {
    let error = bounded(error);
    let metadata: HashMap<_, _> = error.metadata.clone().into_iter().collect();
    let mut details = ErrorDetails::with_error_info(error.reason.as_str(), DOMAIN, metadata);
    if let Some(delay) = error.retry_after {
        details.set_retry_info(Some(delay));
    }
    for violation in &error.violations {
        details.add_bad_request_violation(&violation.field, &violation.description);
    }
    if let Some(quota) = &error.quota {
        details.add_quota_failure_violation(&quota.subject, &quota.description);
    }
    Status::with_error_details(tonic::Code::from_i32(code.number()), &error.message, details)
}

/// Converts a status to the error that it carries. A status without our `ErrorInfo` gets the reason that fits its
/// code; one that the transport made (refused, reset, timed out) is UNAVAILABLE, as nobody can know what the other
/// side did.
pub fn from_status(status: &Status) -> ApiError {
    let details = status.get_error_details();
    let ours = details.error_info().filter(|info| info.domain == DOMAIN);
    let Some((info, reason)) = ours.and_then(|info| Some((info, info.reason.parse::<Reason>().ok()?))) else {
        return foreign::from_status(status, retry_delay(&details));
    };
    let mut error = ApiError::new(reason, status.message());
    error.metadata = info
        .metadata
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    error.retry_after = retry_delay(&details);
    for violation in details.bad_request().iter().flat_map(|bad| &bad.field_violations) {
        error = error.violation(&violation.field, &violation.description);
    }
    if let Some(violation) = details.quota_failure().and_then(|quota| quota.violations.first()) {
        error = error.quota(&violation.subject, &violation.description);
    }
    error
}

/// Returns whether the same call may be tried again, elsewhere or a little later.
pub fn is_retryable(error: &ApiError) -> bool {
    error.code() == Code::Unavailable || error.retry_after.is_some()
}

fn retry_delay(details: &ErrorDetails) -> Option<Duration> {
    details.retry_info().and_then(|info| info.retry_delay)
}
