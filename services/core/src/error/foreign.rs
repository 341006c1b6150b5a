//! Statuses that no service of the mesh made: the gRPC library's and the transport's.
//!
//! Promises: the reason's code is the status's code wherever that code is right. Leaves the wire form to `error`.

use std::error::Error;
use std::time::Duration;

use lepton_domain::reason::{ApiError, Reason};
use tonic::{Code, Status};

/// Start of tonic's message about a body over the limit, which it answers with OUT_OF_RANGE.
const TOO_LARGE: &str = "Error, decoded message length too large";
/// Start of tonic's message about a compressed body that is over the limit once decompressed.
const UNPACKED_TOO_LARGE: &str = "Error decompressing: size limit";
/// Start of tonic's message about a body that is not protobuf, which it answers with INTERNAL.
const NOT_DECODED: &str = "failed to decode Protobuf message";

/// Converts a status without our details to the error that fits it.
pub(super) fn from_status(status: &Status, retry_after: Option<Duration>) -> ApiError {
    let message = status.message();
    let mut error = ApiError::new(reason(status), message);
    error.retry_after = retry_after;
    if error.reason == Reason::RequestTooLarge {
        let plain = message.replacen(TOO_LARGE, "the message is too large", 1);
        error.message = plain.replacen(UNPACKED_TOO_LARGE, "the message is too large: size limit", 1);
    }
    if status.source().is_some() {
        error.message = explained(status);
    }
    error
}

fn reason(status: &Status) -> Reason {
    // Only a status made on this side has a source: the call broke off, whatever code the library chose.
    let broke_off = status.source().is_some();
    match status.code() {
        Code::OutOfRange if status.message().starts_with(TOO_LARGE) => Reason::RequestTooLarge,
        Code::ResourceExhausted if status.message().starts_with(UNPACKED_TOO_LARGE) => Reason::RequestTooLarge,
        Code::Internal if status.message().starts_with(NOT_DECODED) => Reason::FieldInvalid,
        Code::DeadlineExceeded => Reason::DeadlineExceeded,
        Code::Cancelled if timed_out(status) => Reason::DeadlineExceeded,
        Code::Cancelled if !broke_off => Reason::Cancelled,
        Code::Unavailable => Reason::OutcomeUnknown,
        _ if broke_off => Reason::OutcomeUnknown,
        Code::InvalidArgument => Reason::FieldInvalid,
        Code::NotFound => Reason::RouteNotFound,
        Code::PermissionDenied => Reason::PermissionDenied,
        Code::Unauthenticated => Reason::Unauthenticated,
        Code::ResourceExhausted => Reason::Overloaded,
        Code::Unimplemented => Reason::MethodNotAllowed,
        Code::DataLoss => Reason::DataCorrupt,
        // No service of the mesh sends another code without its reason.
        _ => Reason::Internal,
    }
}

/// Returns whether a deadline that tonic keeps itself ended the call, with status CANCELLED.
fn timed_out(status: &Status) -> bool {
    let found = causes(status).any(|cause| cause.is::<tonic::TimeoutExpired>());
    found || status.message() == "Timeout expired"
}

/// The message with the innermost cause, as "transport error" alone helps nobody.
fn explained(status: &Status) -> String {
    match causes(status).last().map(ToString::to_string) {
        Some(cause) if !status.message().contains(&cause) => format!("{}: {cause}", status.message()),
        _ => status.message().to_owned(),
    }
}

fn causes(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(status.source(), |cause| (**cause).source())
}
