//! A fault: a reason with everything that the caller needs to act on it.
//!
//! Promises: small enough to be returned by value. Leaves the encoding as `google.rpc.Status` to the wire.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Code, Reason};

/// Identifier of the error in every wire format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", reason.as_str())]
pub struct Fault {
    /// The reason; the code follows from it.
    pub reason: Reason,
    /// The defect with its value, and what to do.
    pub message: String,
    /// Named details for programs.
    pub metadata: BTreeMap<String, String>,
    /// Delay after which a retry makes sense, if it does.
    pub retry_after: Option<Duration>,
    /// Fields that break a rule (`google.rpc.BadRequest`).
    pub violations: Vec<FieldViolation>,
    /// The quota that is used up (`google.rpc.QuotaFailure`). Boxed: rare, and faults travel by value.
    pub quota: Option<Box<QuotaViolation>>,
}

/// A field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// The path of the field, such as `spec.retry.max_attempts`.
    pub field: String,
    /// The rule and the value that breaks it.
    pub description: String,
}

/// A quota that is used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaViolation {
    /// Owner of the quota, such as `tenant:default`.
    pub subject: String,
    /// The limit and how much is used.
    pub description: String,
}

impl Fault {
    /// A fault with this reason and message and no details.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
            retry_after: None,
            violations: Vec::new(),
            quota: None,
        }
    }

    /// Adds a named detail.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Names a field that breaks a rule.
    #[must_use]
    pub fn violation(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        self.violations.push(FieldViolation {
            field: field.into(),
            description: description.into(),
        });
        self
    }

    /// Names the quota that is used up.
    #[must_use]
    pub fn quota(mut self, subject: impl Into<String>, description: impl Into<String>) -> Self {
        self.quota = Some(Box::new(QuotaViolation {
            subject: subject.into(),
            description: description.into(),
        }));
        self
    }

    /// The gRPC code.
    pub fn code(&self) -> Code {
        self.reason.code()
    }

    /// A `FIELD_INVALID` fault that names one field.
    pub fn field(field: impl Into<String>, description: impl Into<String>) -> Self {
        let (field, description) = (field.into(), description.into());
        Self::new(Reason::FieldInvalid, format!("{field}: {description}")).violation(field, description)
    }
}
