//! Errors in messages between services.
//!
//! Promises: an error arrives as it was sent. Leaves statuses of failed calls to `lepton-core`.

use std::time::Duration;

use lepton_domain::reason::{Code, Fault, FieldViolation, QuotaViolation, Reason};

use super::time::micros;
use crate::scheduler::v1::{Quota, Refusal, Violation};

#[cfg(test)]
mod tests;

impl From<&Fault> for Refusal {
    fn from(fault: &Fault) -> Self {
        let violation = |it: &FieldViolation| Violation {
            field: it.field.clone(),
            description: it.description.clone(),
        };
        Self {
            code: fault.code().number().cast_unsigned(),
            reason: fault.reason.as_str().to_owned(),
            message: fault.message.clone(),
            metadata: fault.metadata.clone(),
            retry_after_us: fault.retry_after.map(micros).unwrap_or_default(),
            violations: fault.violations.iter().map(violation).collect(),
            quota: fault.quota.as_ref().map(|it| Quota {
                subject: it.subject.clone(),
                description: it.description.clone(),
            }),
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let mut fault = match refusal.reason.parse::<Reason>() {
            Ok(reason) => Fault::new(reason, refusal.message),
            Err(_) => unknown_reason(refusal.code, refusal.reason, refusal.message),
        };
        fault.metadata.extend(refusal.metadata);
        fault.retry_after = Some(Duration::from_micros(refusal.retry_after_us)).filter(|delay| !delay.is_zero());
        let violation = |it: Violation| FieldViolation {
            field: it.field,
            description: it.description,
        };
        fault.violations = refusal.violations.into_iter().map(violation).collect();
        fault.quota = refusal.quota.map(|it| {
            Box::new(QuotaViolation {
                subject: it.subject,
                description: it.description,
            })
        });
        fault
    }
}

/// Substitute for a reason of a newer service: one with the same [`Code`], from which the retry behaviour follows.
fn unknown_reason(code: u32, reason: String, message: String) -> Fault {
    let retryable = code == Code::Unavailable.number().cast_unsigned();
    let known = if retryable {
        Reason::OutcomeUnknown
    } else {
        Reason::Internal
    };
    Fault::new(known, message).with("reason", reason)
}
