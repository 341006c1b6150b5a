//! Errors with everything that their receivers need to act on them.
//!
//! Promises: small enough to be returned by value. Leaves the encoding as `google.rpc.Status` to the wire.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Code, Reason};

/// Error with everything that its receiver needs to act on it: `google.rpc.Status` with its details.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", reason.as_str())]
pub struct ApiError {
    /// Reason; [`Reason::code`] follows from it.
    pub reason: Reason,
    /// Cause, value and remedy.
    pub message: String,
    /// Named details for programs.
    pub metadata: BTreeMap<String, String>,
    /// Retry delay, if a retry makes sense (`google.rpc.RetryInfo`).
    pub retry_after: Option<Duration>,
    /// Fields that break a rule (`google.rpc.BadRequest`).
    pub violations: Vec<FieldViolation>,
    /// Exhausted quota (`google.rpc.QuotaFailure`). Boxed, because it is rare and errors travel by value.
    pub quota: Option<Box<QuotaViolation>>,
}

/// Field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field, such as `spec.retry.max_attempts`.
    pub field: String,
    /// Rule, and the value that breaks it.
    pub description: String,
}

/// Exhausted quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaViolation {
    /// Subject of the quota, such as `tenant:default`.
    pub subject: String,
    /// Limit and usage.
    pub description: String,
}

impl ApiError {
    /// Error without details.
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

    /// Sets the retry delay.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Adds a field that breaks a rule.
    #[must_use]
    pub fn violation(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        self.violations.push(FieldViolation {
            field: field.into(),
            description: description.into(),
        });
        self
    }

    /// Sets the exhausted quota.
    #[must_use]
    pub fn quota(mut self, subject: impl Into<String>, description: impl Into<String>) -> Self {
        self.quota = Some(Box::new(QuotaViolation {
            subject: subject.into(),
            description: description.into(),
        }));
        self
    }

    /// Returns the gRPC code.
    pub fn code(&self) -> Code {
        self.reason.code()
    }

    /// Error FIELD_INVALID about one field.
    pub fn field(field: impl Into<String>, description: impl Into<String>) -> Self {
        let (field, description) = (field.into(), description.into());
        Self::new(Reason::FieldInvalid, format!("{field}: {description}")).violation(field, description)
    }
}
