//! Validation of messages by the rules of `buf.validate` in the contract.
//!
//! Promises: a message that breaks rules gives one error that names every field. Leaves rules that need more than the
//! message to the domain.

use std::sync::LazyLock;

use lepton_domain::reason::{Fault, Reason};
use prost::Message;
use prost_protovalidate::{Error, Validator};
use prost_reflect::DynamicMessage;

use crate::proto_json;

#[cfg(test)]
mod tests;

/// Checks a message by the rules of its fields. Fails with FIELD_INVALID.
pub fn check(message: &DynamicMessage) -> Result<(), Fault> {
    static VALIDATOR: LazyLock<Validator> = LazyLock::new(Validator::new);
    match VALIDATOR.validate(message) {
        Ok(()) => Ok(()),
        Err(Error::Validation(broken)) => Err(fault(broken.violations())),
        Err(other) => Err(Fault::new(
            Reason::Internal,
            format!("a rule of the contract cannot be applied: {other}"),
        )),
    }
}

/// Checks a typed message by its full name, such as `lepton.task.v1.ListTasksRequest`, as [`check`] does. Encodes it
/// once, so large payloads should be taken out before.
pub fn check_typed(name: &str, message: &impl Message) -> Result<(), Fault> {
    let dynamic =
        proto_json::dynamic(name, message).map_err(|error| Fault::new(Reason::Internal, error.to_string()))?;
    check(&dynamic)
}

fn fault(violations: &[prost_protovalidate::Violation]) -> Fault {
    let say = |it: &prost_protovalidate::Violation| format!("{}: {}", it.field_path(), it.message());
    let message = violations.iter().map(say).collect::<Vec<_>>().join("; ");
    let fault = Fault::new(Reason::FieldInvalid, message);
    violations
        .iter()
        .fold(fault, |fault, it| fault.violation(it.field_path(), it.message()))
}
