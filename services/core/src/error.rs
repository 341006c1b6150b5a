//! Faults on the wire: gRPC statuses, REST bodies and back.
//!
//! Promises: one conversion for each form; every error carries its reason, domain and details, also those that the
//! gRPC library makes by itself; a fault that crosses a hop arrives as it was. Leaves choosing the reason to
//! whoever fails.

use std::collections::HashMap;
use std::time::Duration;

use lepton_domain::reason::{Code, Fault, Reason};
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

pub use rest::{rest, rest_body, v2};

mod foreign;
mod rest;
#[cfg(test)]
mod tests;

/// The domain of every `google.rpc.ErrorInfo` of the mesh.
pub const DOMAIN: &str = "lepton";
/// The header that carries the reason where the body cannot.
pub const REASON_HEADER: &str = "lepton-reason";
/// Bytes of a status's message: with its details it travels in headers, escaped, and peers take only so many of those.
const MESSAGE_BYTES_MAX: usize = 1_024;
/// Bytes of each other text of a status, such as a name that a caller sent.
const TEXT_BYTES_MAX: usize = 256;
/// Maximum of violations in a status.
const VIOLATIONS_MAX: usize = 16;

/// Converts a fault to a gRPC status with [`ErrorInfo`](tonic_types::ErrorInfo), and `RetryInfo`, `BadRequest` and
/// `QuotaFailure` where they fit. Long texts are cut: an answer whose headers are too large would not arrive at all.
pub fn status(fault: &Fault) -> Status {
    let metadata = fault.metadata.iter();
    let metadata: HashMap<_, _> = metadata.map(|(key, value)| (key.clone(), text(value))).collect();
    let mut details = ErrorDetails::with_error_info(fault.reason.as_str(), DOMAIN, metadata);
    if let Some(delay) = fault.retry_after {
        details.set_retry_info(Some(delay));
    }
    for violation in fault.violations.iter().take(VIOLATIONS_MAX) {
        details.add_bad_request_violation(text(&violation.field), text(&violation.description));
    }
    if let Some(quota) = &fault.quota {
        details.add_quota_failure_violation(text(&quota.subject), text(&quota.description));
    }
    let message = cut(&fault.message, MESSAGE_BYTES_MAX);
    Status::with_error_details(tonic::Code::from_i32(fault.code().number()), message, details)
}

fn text(text: &str) -> String {
    cut(text, TEXT_BYTES_MAX)
}

/// The text, or its beginning and a sign that there was more, in at most so many bytes.
fn cut(text: &str, bytes_max: usize) -> String {
    const MORE: &str = "...";
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes_max - MORE.len());
    format!("{}{MORE}", &text[..end])
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
