//! Errors in messages between services.
//!
//! Promises: an error arrives as it was sent. Leaves statuses of failed calls to `lepton-core`.

use std::time::Duration;

use lepton_domain::reason::{ApiError, Code, FieldViolation, QuotaViolation, Reason};

use super::time::micros;
use crate::scheduler::v1::{Quota, Refusal, Violation};

#[cfg(test)]
mod tests;

impl From<&ApiError> for Refusal {
    fn from(error: &ApiError) -> Self {
        let violation = |it: &FieldViolation| Violation {
            field: it.field.clone(),
            description: it.description.clone(),
        };
        Self {
            code: error.code().number().cast_unsigned(),
            reason: error.reason.as_str().to_owned(),
            message: error.message.clone(),
            metadata: error.metadata.clone(),
            retry_after_us: error.retry_after.map(micros).unwrap_or_default(),
            violations: error.violations.iter().map(violation).collect(),
            quota: error.quota.as_ref().map(|it| Quota {
                subject: it.subject.clone(),
                description: it.description.clone(),
            }),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let mut error = match refusal.reason.parse::<Reason>() {
            Ok(reason) => ApiError::new(reason, refusal.message),
            Err(_) => unknown_reason(refusal.code, refusal.reason, refusal.message),
        };
        error.metadata.extend(refusal.metadata);
        error.retry_after = Some(Duration::from_micros(refusal.retry_after_us)).filter(|delay| !delay.is_zero());
        let violation = |it: Violation| FieldViolation {
            field: it.field,
            description: it.description,
        };
        error.violations = refusal.violations.into_iter().map(violation).collect();
        error.quota = refusal.quota.map(|it| {
            Box::new(QuotaViolation {
                subject: it.subject,
                description: it.description,
            })
        });
        error
    }
}

/// Substitute for a reason of a newer service: one with the same [`Code`], from which the retry behaviour follows.
fn unknown_reason(code: u32, reason: String, message: String) -> ApiError {
    let retryable = code == Code::Unavailable.number().cast_unsigned();
    let known = if retryable {
        Reason::OutcomeUnknown
    } else {
        Reason::Internal
    };
    ApiError::new(known, message).with("reason", reason)
}
