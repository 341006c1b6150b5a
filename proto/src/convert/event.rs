//! Events in the journal's storage format.
//!
//! Promises: encoding is deterministic and decoding gives the same event back; an event of a later version is an error,
//! never skipped. Payload bytes are shared with the buffer that they were read from, not copied. Leaves segments,
//! checksums and the chain to the journal.

use std::sync::Arc;

use lepton_domain::ids::{AttemptId, InstanceId, Kind, RequestId, TaskId, Tenant};
use lepton_domain::ledger::{Event, Submission};
use lepton_domain::reason::Code;
use lepton_domain::task::{Content, Encoding, Payload, Priority, RetryPolicy, Spec, TaskError};
use lepton_domain::time::Timestamp;

use super::{ConvertError, Problem, content_digest, digest_bytes, required, task_id, task_id_bytes, time};
use crate::journal::v1 as wire;
use wire::event::Change;

#[cfg(test)]
mod tests;

impl From<&Event> for wire::Event {
    fn from(event: &Event) -> Self {
        Self {
            change: Some(change(event)),
        }
    }
}

fn change(event: &Event) -> Change {
    match event {
        Event::EpochStarted { leader } => Change::EpochStarted(wire::EpochStarted {
            leader: leader.to_string(),
        }),
        Event::FormatActivated { format } => Change::FormatActivated(wire::FormatActivated { format: *format }),
        Event::Submitted(submission) => Change::Submitted(Box::new(submission.as_ref().into())),
        Event::Started { attempt, worker } => Change::Started(wire::Started {
            attempt: Some((*attempt).into()),
            worker: worker.to_string(),
        }),
        Event::Succeeded {
            attempt,
            worker,
            output,
        } => Change::Succeeded(wire::Succeeded {
            attempt: Some((*attempt).into()),
            worker: worker.to_string(),
            output: Some(output.into()),
        }),
        Event::AttemptFailed {
            attempt,
            worker,
            error,
            retry_at,
            checkpoint,
        } => Change::AttemptFailed(wire::AttemptFailed {
            attempt: Some((*attempt).into()),
            worker: worker.to_string(),
            error: Some(error.into()),
            retry_at_us: retry_at.as_micros(),
            checkpoint: checkpoint.as_ref().map(Into::into),
        }),
        Event::AttemptLost {
            attempt,
            worker,
            alone,
            checkpoint,
        } => Change::AttemptLost(wire::AttemptLost {
            attempt: Some((*attempt).into()),
            worker: worker.to_string(),
            alone: *alone,
            checkpoint: checkpoint.as_ref().map(Into::into),
        }),
        Event::AttemptReturned {
            attempt,
            worker,
            checkpoint,
        } => Change::AttemptReturned(returned(*attempt, worker, checkpoint.as_ref())),
        Event::Failed { task, attempt, error } => Change::Failed(wire::Failed {
            task: task_id_bytes(*task),
            attempt: attempt.map(Into::into),
            error: Some(error.into()),
        }),
        Event::Cancelled { task, message } => Change::Cancelled(wire::Cancelled {
            task: task_id_bytes(*task),
            message: message.clone(),
        }),
        Event::Expired { task } => Change::Expired(wire::Expired {
            task: task_id_bytes(*task),
        }),
        Event::Purged { task } => Change::Purged(wire::Purged {
            task: task_id_bytes(*task),
        }),
        Event::KindPaused { tenant, kind } => Change::KindPaused(paused_kind(tenant, kind)),
        Event::KindResumed { tenant, kind } => Change::KindResumed(resumed_kind(tenant, kind)),
    }
}

fn resumed_kind(tenant: &Tenant, kind: &Kind) -> wire::KindResumed {
    wire::KindResumed {
        tenant: tenant.to_string(),
        kind: kind.to_string(),
    }
}

fn returned(attempt: AttemptId, worker: &InstanceId, checkpoint: Option<&Payload>) -> wire::AttemptReturned {
    wire::AttemptReturned {
        attempt: Some(attempt.into()),
        worker: worker.to_string(),
        checkpoint: checkpoint.map(Into::into),
    }
}

/// Pause of a kind, in events and in snapshots.
pub(super) fn paused_kind(tenant: &Tenant, kind: &Kind) -> wire::KindPaused {
    wire::KindPaused {
        tenant: tenant.to_string(),
        kind: kind.to_string(),
    }
}

impl TryFrom<wire::Event> for Event {
    type Error = ConvertError;

    fn try_from(event: wire::Event) -> Result<Self, ConvertError> {
        // A change that this version does not know decodes as none.
        Ok(match required("event.change", event.change)? {
            Change::EpochStarted(it) => Event::EpochStarted {
                leader: InstanceId::new(it.leader),
            },
            Change::FormatActivated(it) => Event::FormatActivated { format: it.format },
            Change::Submitted(it) => Event::Submitted(Box::new(Submission::try_from(*it)?)),
            Change::Started(it) => Event::Started {
                attempt: attempt("started.attempt", it.attempt)?,
                worker: InstanceId::new(it.worker),
            },
            Change::Succeeded(it) => Event::Succeeded {
                attempt: attempt("succeeded.attempt", it.attempt)?,
                worker: InstanceId::new(it.worker),
                output: required("succeeded.output", it.output)?.try_into()?,
            },
            Change::AttemptFailed(it) => Event::AttemptFailed {
                attempt: attempt("attempt_failed.attempt", it.attempt)?,
                worker: InstanceId::new(it.worker),
                error: required("attempt_failed.error", it.error)?.try_into()?,
                retry_at: Timestamp::from_micros(it.retry_at_us),
                checkpoint: it.checkpoint.map(TryInto::try_into).transpose()?,
            },
            Change::AttemptLost(it) => Event::AttemptLost {
                attempt: attempt("attempt_lost.attempt", it.attempt)?,
                worker: InstanceId::new(it.worker),
                alone: it.alone,
                checkpoint: it.checkpoint.map(TryInto::try_into).transpose()?,
            },
            Change::AttemptReturned(it) => Event::AttemptReturned {
                attempt: attempt("attempt_returned.attempt", it.attempt)?,
                worker: InstanceId::new(it.worker),
                checkpoint: it.checkpoint.map(TryInto::try_into).transpose()?,
            },
            Change::KindPaused(it) => Event::KindPaused {
                tenant: Tenant::new(it.tenant),
                kind: Kind::new(it.kind),
            },
            Change::KindResumed(it) => Event::KindResumed {
                tenant: Tenant::new(it.tenant),
                kind: Kind::new(it.kind),
            },
            Change::Failed(it) => Event::Failed {
                task: task_id("failed.task", &it.task)?,
                attempt: it.attempt.as_ref().map(AttemptId::try_from).transpose()?,
                error: required("failed.error", it.error)?.try_into()?,
            },
            Change::Cancelled(it) => Event::Cancelled {
                task: task_id("cancelled.task", &it.task)?,
                message: it.message,
            },
            Change::Expired(it) => Event::Expired {
                task: task_id("expired.task", &it.task)?,
            },
            Change::Purged(it) => Event::Purged {
                task: task_id("purged.task", &it.task)?,
            },
        })
    }
}

fn attempt(field: &'static str, attempt: Option<wire::Attempt>) -> Result<AttemptId, ConvertError> {
    AttemptId::try_from(&required(field, attempt)?)
}

impl From<&Submission> for wire::Submitted {
    fn from(submission: &Submission) -> Self {
        Self {
            task: task_id_bytes(submission.id),
            tenant: submission.tenant.to_string(),
            request_id: submission.request_id.to_string(),
            content_digest: digest_bytes(&submission.content_digest),
            spec: Some((&submission.spec).into()),
            traceparent: traceparent_text(submission.traceparent.as_ref()),
            retry_of: submission.retry_of.map(task_id_bytes).unwrap_or_default(),
        }
    }
}

impl TryFrom<wire::Submitted> for Submission {
    type Error = ConvertError;

    fn try_from(submitted: wire::Submitted) -> Result<Self, ConvertError> {
        Ok(Self {
            id: task_id("submitted.task", &submitted.task)?,
            tenant: Tenant::new(submitted.tenant),
            request_id: RequestId::new(submitted.request_id),
            content_digest: content_digest("submitted.content_digest", &submitted.content_digest)?,
            spec: required("submitted.spec", submitted.spec)?.try_into()?,
            traceparent: read_traceparent(submitted.traceparent),
            retry_of: read_retry_of("submitted.retry_of", &submitted.retry_of)?,
        })
    }
}

pub(super) fn read_retry_of(field: &'static str, bytes: &[u8]) -> Result<Option<TaskId>, ConvertError> {
    match bytes.is_empty() {
        true => Ok(None),
        false => task_id(field, bytes).map(Some),
    }
}

pub(super) fn traceparent_text(traceparent: Option<&Arc<str>>) -> String {
    traceparent.map(ToString::to_string).unwrap_or_default()
}

pub(super) fn read_traceparent(text: String) -> Option<Arc<str>> {
    if text.is_empty() { None } else { Some(text.into()) }
}

impl From<&Spec> for wire::Spec {
    fn from(spec: &Spec) -> Self {
        Self {
            kind: spec.kind.to_string(),
            input: Some((&spec.input).into()),
            priority: spec.priority.get().into(),
            deadline_us: spec.deadline.map(Timestamp::as_micros),
            timeout_us: spec.timeout.map(time::micros),
            not_before_us: spec.not_before.map(Timestamp::as_micros),
            retry: Some((&spec.retry).into()),
            requirements: spec.requirements.clone(),
            labels: spec.labels.clone(),
            run_once: spec.run_once,
        }
    }
}

impl TryFrom<wire::Spec> for Spec {
    type Error = ConvertError;

    fn try_from(spec: wire::Spec) -> Result<Self, ConvertError> {
        let number = u8::try_from(spec.priority).ok();
        let unknown = ConvertError::new("spec.priority", Problem::Unknown(spec.priority.into()));
        Ok(Self {
            kind: Kind::new(spec.kind),
            input: required("spec.input", spec.input)?.try_into()?,
            priority: number.and_then(Priority::new).ok_or(unknown)?,
            deadline: spec.deadline_us.map(Timestamp::from_micros),
            timeout: spec.timeout_us.map(std::time::Duration::from_micros),
            not_before: spec.not_before_us.map(Timestamp::from_micros),
            retry: required("spec.retry", spec.retry)?.into(),
            requirements: spec.requirements,
            labels: spec.labels,
            run_once: spec.run_once,
        })
    }
}

impl From<&RetryPolicy> for wire::Retry {
    fn from(policy: &RetryPolicy) -> Self {
        Self {
            max_attempts: policy.max_attempts,
            initial_backoff_us: time::micros(policy.initial_backoff),
            max_backoff_us: time::micros(policy.max_backoff),
            multiplier_percent: policy.multiplier_percent,
        }
    }
}

impl From<wire::Retry> for RetryPolicy {
    fn from(retry: wire::Retry) -> Self {
        Self {
            max_attempts: retry.max_attempts,
            initial_backoff: std::time::Duration::from_micros(retry.initial_backoff_us),
            max_backoff: std::time::Duration::from_micros(retry.max_backoff_us),
            multiplier_percent: retry.multiplier_percent,
        }
    }
}

impl From<&Payload> for wire::Payload {
    fn from(payload: &Payload) -> Self {
        let encoding = match payload.encoding {
            Encoding::Json => wire::Encoding::Json,
            Encoding::Binary => wire::Encoding::Binary,
        };
        let content = match &payload.content {
            Content::Inline(bytes) => wire::payload::Content::Inline(bytes.clone()),
            Content::Blob { digest, size } => wire::payload::Content::Blob(wire::Blob {
                digest: digest_bytes(digest),
                size: *size,
            }),
        };
        Self {
            encoding: encoding.into(),
            content: Some(content),
        }
    }
}

impl TryFrom<wire::Payload> for Payload {
    type Error = ConvertError;

    fn try_from(payload: wire::Payload) -> Result<Self, ConvertError> {
        let encoding = match payload.encoding() {
            wire::Encoding::Json => Encoding::Json,
            wire::Encoding::Binary => Encoding::Binary,
            wire::Encoding::Unspecified => {
                return Err(ConvertError::new(
                    "payload.encoding",
                    Problem::Unknown(payload.encoding.into()),
                ));
            }
        };
        let content = match required("payload.content", payload.content)? {
            wire::payload::Content::Inline(bytes) => Content::Inline(bytes),
            wire::payload::Content::Blob(blob) => Content::Blob {
                digest: content_digest("payload.blob.digest", &blob.digest)?,
                size: blob.size,
            },
        };
        Ok(Self { encoding, content })
    }
}

impl From<&TaskError> for wire::Failure {
    fn from(error: &TaskError) -> Self {
        Self {
            code: error.code.number().cast_unsigned(),
            reason: error.reason.clone(),
            message: error.message.clone(),
        }
    }
}

impl TryFrom<wire::Failure> for TaskError {
    type Error = ConvertError;

    fn try_from(failure: wire::Failure) -> Result<Self, ConvertError> {
        let code = i32::try_from(failure.code).ok().and_then(Code::from_number);
        let unknown = ConvertError::new("failure.code", Problem::Unknown(failure.code.into()));
        Ok(Self {
            code: code.ok_or(unknown)?,
            reason: failure.reason,
            message: failure.message,
        })
    }
}
