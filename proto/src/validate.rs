//! Validation of messages by the rules of `buf.validate` in the contract.
//!
//! Promises: a message that breaks rules gives one error that names every field. Leaves rules that need more than the
//! message to the domain.

use std::sync::LazyLock;

use lepton_domain::reason::{ApiError, Reason};
use prost::Message;
use prost_protovalidate::{Error, Validator};
use prost_reflect::DynamicMessage;

use crate::proto_json;

#[cfg(test)]
mod tests;

/// Checks a message by the rules of its fields. Fails with FIELD_INVALID.
pub fn check(message: &DynamicMessage) -> Result<(), ApiError> {
    static VALIDATOR: LazyLock<Validator> = LazyLock::new(Validator::new);
    match VALIDATOR.validate(message) {
        Ok(()) => Ok(()),
        Err(Error::Validation(broken)) => Err(error(broken.violations())),
        Err(other) => Err(ApiError::new(
            Reason::Internal,
            format!("a rule of the contract cannot be applied: {other}"),
        )),
    }
}

/// Checks a typed message by its full name, such as `lepton.task.v1.ListTasksRequest`, as [`check`] does. Encodes it
/// once, so large payloads should be taken out before.
pub fn check_typed(name: &str, message: &impl Message) -> Result<(), ApiError> {
    let dynamic =
        proto_json::dynamic(name, message).map_err(|error| ApiError::new(Reason::Internal, error.to_string()))?;
    check(&dynamic)
}

fn error(violations: &[prost_protovalidate::Violation]) -> ApiError {
    let say = |it: &prost_protovalidate::Violation| format!("{}: {}", it.field_path(), it.message());
    let message = violations.iter().map(say).collect::<Vec<_>>().join("; ");
    let error = ApiError::new(Reason::FieldInvalid, message);
    violations
        .iter()
        .fold(error, |error, it| error.violation(it.field_path(), it.message()))
}
