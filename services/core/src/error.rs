//! Faults on the wire: gRPC statuses, REST bodies and back.
//!
//! Promises: one conversion for each form, each of a bounded size, whatever a caller sent; every error carries its reason,
//! domain and details, also those that the gRPC library makes by itself; a fault that crosses a hop arrives as it was. Leaves
//! choosing the reason to whoever fails.

use std::collections::HashMap;
use std::time::Duration;

use lepton_domain::reason::{Code, Fault, Reason};
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

/// Converts a fault to a gRPC status with [`ErrorInfo`](tonic_types::ErrorInfo), and `RetryInfo`, `BadRequest` and
/// `QuotaFailure` where they fit. Long texts are cut: an answer whose headers are too large would not arrive at all.
pub fn status(fault: &Fault) -> Status {
    status_with(fault.code(), fault)
}

/// Converts a fault to a status of another code than its reason's: a protocol may demand one.
pub fn status_with(code: Code, fault: &Fault) -> Status {
    let fault = bounded(fault);
    let metadata: HashMap<_, _> = fault.metadata.clone().into_iter().collect();
    let mut details = ErrorDetails::with_error_info(fault.reason.as_str(), DOMAIN, metadata);
    if let Some(delay) = fault.retry_after {
        details.set_retry_info(Some(delay));
    }
    for violation in &fault.violations {
        details.add_bad_request_violation(&violation.field, &violation.description);
    }
    if let Some(quota) = &fault.quota {
        details.add_quota_failure_violation(&quota.subject, &quota.description);
    }
    Status::with_error_details(tonic::Code::from_i32(code.number()), &fault.message, details)
}

/// Converts a status to the fault that it carries. A status without our `ErrorInfo` gets the reason that fits its
/// code; one that the transport made (refused, reset, timed out) is UNAVAILABLE, as nobody can know what the other
/// side did.
pub fn fault(status: &Status) -> Fault {
    let details = status.get_error_details();
    let ours = details.error_info().filter(|info| info.domain == DOMAIN);
    let Some((info, reason)) = ours.and_then(|info| Some((info, info.reason.parse::<Reason>().ok()?))) else {
        return foreign::fault(status, retry_delay(&details));
    };
    let mut fault = Fault::new(reason, status.message());
    fault.metadata = info
        .metadata
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    fault.retry_after = retry_delay(&details);
    for violation in details.bad_request().iter().flat_map(|bad| &bad.field_violations) {
        fault = fault.violation(&violation.field, &violation.description);
    }
    if let Some(violation) = details.quota_failure().and_then(|quota| quota.violations.first()) {
        fault = fault.quota(&violation.subject, &violation.description);
    }
    fault
}

/// Returns whether the same call may be tried again, elsewhere or a little later.
pub fn is_retryable(fault: &Fault) -> bool {
    fault.code() == Code::Unavailable || fault.retry_after.is_some()
}

fn retry_delay(details: &ErrorDetails) -> Option<Duration> {
    details.retry_info().and_then(|info| info.retry_delay)
}
