//! Tasks in the form of the client API.
//!
//! Promises: the same submit always has the same content digest, whatever the order of its keys or its encoding. Leaves
//! fetching blobs to the caller, and unknown kinds to the gateway.

use std::sync::Arc;

use bytes::Bytes;
use lepton_domain::ids::{ContentDigest, RequestId, TaskId, Tenant, Version};
use lepton_domain::ledger::Submission;
use lepton_domain::reason::ApiError;
use lepton_domain::task::{
    Attempt, AttemptEnd, Content, Encoding, Payload, Priority, RetryPolicy, Spec, State, Task, TaskError,
};
use lepton_domain::time::Timestamp;
use sha2::{Digest as _, Sha256};

use super::time::{micros, read_duration, read_timestamp, timestamp};
use super::value::{self, JsonError};
use super::{ConvertError, Problem};
use crate::task::v1 as wire;

#[cfg(test)]
mod tests;

/// Fields that the edge adds to a submit.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Id of the new task, made at the edge, so that a repeated command is the same command.
    pub id: TaskId,
    /// Tenant of the submitter; from the credential, never from the request.
    pub tenant: Tenant,
    /// Idempotency key: the request's own, or one that the edge filled in.
    pub request_id: RequestId,
    /// W3C trace context of the call.
    pub traceparent: Option<Arc<str>>,
    /// SHA-256 of the input, JSON in canonical form: the order of keys does not make another submit.
    pub input_digest: ContentDigest,
}

/// Input of a request, as [canonical JSON](super::value::canonical) or as it is; JSON null when there is none.
pub fn input(request: &wire::SubmitTaskRequest) -> Result<(Encoding, Bytes), JsonError> {
    match &request.payload {
        Some(wire::submit_task_request::Payload::Input(json)) => Ok((Encoding::Json, value::from_value(json)?)),
        Some(wire::submit_task_request::Payload::InputBytes(bytes)) => Ok((Encoding::Binary, bytes.clone())),
        None => Ok((Encoding::Json, Bytes::from_static(b"null"))),
    }
}

/// The submission that a request asks for, checked against every limit.
///
/// `input` replaces the request's payload, which is not looked at: it has been checked, and lies in the blob store when
/// it is large. Fails with FIELD_INVALID, which names the field.
pub fn submission(
    request: &wire::SubmitTaskRequest,
    envelope: Envelope,
    input: Payload,
) -> Result<Submission, ApiError> {
    let spec = spec(request, input)?;
    let submission = Submission {
        id: envelope.id,
        tenant: envelope.tenant,
        request_id: envelope.request_id,
        content_digest: submit_digest(&spec, &envelope.input_digest),
        spec,
        traceparent: envelope.traceparent,
        retry_of: None,
    };
    submission.check()?;
    Ok(submission)
}

fn spec(request: &wire::SubmitTaskRequest, input: Payload) -> Result<Spec, ApiError> {
    Ok(Spec {
        kind: request.kind.as_str().into(),
        input,
        priority: priority(request.priority)?,
        deadline: request
            .deadline
            .as_ref()
            .map(|it| read_timestamp("deadline", it))
            .transpose()?,
        timeout: request
            .timeout
            .as_ref()
            .map(|it| read_duration("timeout", it))
            .transpose()?,
        not_before: request
            .not_before
            .as_ref()
            .map(|it| read_timestamp("not_before", it))
            .transpose()?,
        retry: request.retry.as_ref().map_or(Ok(RetryPolicy::default()), retry)?,
        requirements: request.requirements.clone(),
        labels: request.labels.clone(),
        run_once: request.run_once,
    })
}

fn priority(number: u32) -> Result<Priority, ApiError> {
    if number == 0 {
        return Ok(Priority::default());
    }
    let priority = u8::try_from(number).ok().and_then(Priority::new);
    priority.ok_or_else(|| ApiError::field("priority", format!("{number} is not in 1..=5")))
}

/// The policy with what is absent filled in. A bound that is given moves the default of the other one, so that naming
/// one of the two is never a contradiction.
fn retry(policy: &wire::RetryPolicy) -> Result<RetryPolicy, ConvertError> {
    let default = RetryPolicy::default();
    let initial = policy
        .initial_backoff
        .as_ref()
        .map(|it| read_duration("retry.initial_backoff", it))
        .transpose()?;
    let max = policy
        .max_backoff
        .as_ref()
        .map(|it| read_duration("retry.max_backoff", it))
        .transpose()?;
    Ok(RetryPolicy {
        max_attempts: policy.max_attempts.unwrap_or(default.max_attempts),
        initial_backoff: initial.unwrap_or_else(|| default.initial_backoff.min(max.unwrap_or(default.max_backoff))),
        max_backoff: max.unwrap_or_else(|| default.max_backoff.max(initial.unwrap_or(default.initial_backoff))),
        multiplier_percent: policy.multiplier_percent.unwrap_or(default.multiplier_percent),
    })
}

/// SHA-256 of some content, its name in the blob store.
pub fn sha256(content: &[u8]) -> ContentDigest {
    ContentDigest(Sha256::digest(content).into())
}

/// Digest over everything that the submitter set, which distinguishes a repetition from another submit with the same
/// request id. Without deadline and earliest start, which clients compute anew for every try.
fn submit_digest(spec: &Spec, input: &ContentDigest) -> ContentDigest {
    let mut hash = Fields(Sha256::new());
    hash.bytes(b"lepton.submit.1");
    hash.bytes(spec.kind.as_str().as_bytes());
    hash.number(match spec.input.encoding {
        Encoding::Json => 1,
        Encoding::Binary => 2,
    });
    hash.bytes(&input.0);
    hash.number(spec.priority.get().into());
    hash.optional(spec.timeout.map(micros));
    // The place of the earliest start, which clients compute anew for every try.
    hash.optional(None);
    hash.number(spec.retry.max_attempts.into());
    hash.number(micros(spec.retry.initial_backoff));
    hash.number(micros(spec.retry.max_backoff));
    hash.number(spec.retry.multiplier_percent.into());
    for map in [&spec.requirements, &spec.labels] {
        hash.number(map.len() as u64);
        for (key, value) in map {
            hash.bytes(key.as_bytes());
            hash.bytes(value.as_bytes());
        }
    }
    hash.number(spec.run_once.into());
    ContentDigest(hash.0.finalize().into())
}

/// Hash over fields, each after its length, so that no two lists of fields hash the same bytes.
struct Fields(Sha256);

impl Fields {
    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }

    fn optional(&mut self, number: Option<u64>) {
        self.number(number.is_some().into());
        self.number(number.unwrap_or_default());
    }
}

/// Contents fetched from the blob store. Needed only for payloads that lie there.
#[derive(Debug, Clone, Default)]
pub struct Resolved {
    /// Content of the input.
    pub input: Option<Bytes>,
    /// Content of the output.
    pub output: Option<Bytes>,
}

/// Task of the client API. Fails when a payload lies in the blob store and was not resolved, or is stored as JSON and
/// is none.
pub fn to_wire(task: &Task, resolved: &Resolved) -> Result<wire::Task, ConvertError> {
    let output = task
        .output
        .as_ref()
        .map(|output| wire_output(output, resolved.output.as_ref()))
        .transpose()?;
    Ok(wire::Task {
        id: task.id.to_string(),
        tenant: task.tenant.to_string(),
        kind: task.spec.kind.to_string(),
        state: state(task.state).into(),
        payload: Some(wire_input(&task.spec.input, resolved.input.as_ref())?),
        result: output,
        error: task.error.as_ref().map(Into::into),
        attempts: task.attempts,
        request_id: task.request_id.to_string(),
        create_time: Some(timestamp(task.created)),
        start_time: task.started.map(timestamp),
        end_time: task.ended.map(timestamp),
        trace_id: task
            .traceparent
            .as_deref()
            .and_then(trace_id)
            .unwrap_or_default()
            .to_owned(),
        version: Some(task.version.into()),
        priority: task.spec.priority.get().into(),
        labels: task.spec.labels.clone(),
        worker: last_worker(task),
        // Soft state, which only the leader knows.
        progress: None,
        pending_reason: String::new(),
        retried_from: task.retry_of.map(|id| id.to_string()).unwrap_or_default(),
    })
}

/// The submission that runs an ended task again: same kind, input and options, without deadline and earliest start, which
/// are past. `input` is the payload as the new task stores it.
pub fn resubmission(task: &Task, envelope: Envelope, input: Payload) -> Submission {
    let spec = Spec {
        input,
        deadline: None,
        not_before: None,
        ..task.spec.clone()
    };
    Submission {
        id: envelope.id,
        tenant: envelope.tenant,
        request_id: envelope.request_id,
        content_digest: retry_digest(task.id, &submit_digest(&spec, &envelope.input_digest)),
        spec,
        traceparent: envelope.traceparent,
        retry_of: Some(task.id),
    }
}

/// Digest of a retry: a request id that made a task by a submit is not repeated by a retry of another one.
fn retry_digest(task: TaskId, submit: &ContentDigest) -> ContentDigest {
    let mut hash = Fields(Sha256::new());
    hash.bytes(b"lepton.retry.1");
    hash.bytes(&task.as_u128().to_be_bytes());
    hash.bytes(&submit.0);
    ContentDigest(hash.0.finalize().into())
}

/// Attempts at a task, the oldest first: those that another one followed, and the current or last one.
pub fn attempts(task: &Task) -> Vec<wire::Attempt> {
    let past = task.history.iter().flat_map(|history| &history.attempts);
    let past = past.map(|past| {
        let (state, error) = match &past.end {
            AttemptEnd::Failed(error) => (wire::AttemptState::Failed, Some(error)),
            AttemptEnd::Lost => (wire::AttemptState::Lost, None),
            AttemptEnd::Returned => (wire::AttemptState::Returned, None),
        };
        attempt(&past.attempt, state, Some(past.ended), error)
    });
    let last = task.attempt.iter().filter_map(|last| {
        let error = task.error.as_ref();
        let (state, error) = match task.state {
            State::Running => (wire::AttemptState::Running, None),
            State::Succeeded => (wire::AttemptState::Succeeded, None),
            State::Failed if error.is_some_and(TaskError::is_loss) => (wire::AttemptState::Lost, error),
            State::Failed => (wire::AttemptState::Failed, error),
            State::Cancelled | State::Expired => (wire::AttemptState::Stopped, None),
            // No attempt is current then.
            State::Blocked | State::Pending => return None,
        };
        Some(attempt(last, state, task.ended, error))
    });
    past.chain(last).collect()
}

fn attempt(
    attempt: &Attempt,
    state: wire::AttemptState,
    ended: Option<Timestamp>,
    error: Option<&TaskError>,
) -> wire::Attempt {
    wire::Attempt {
        number: attempt.number,
        worker: attempt.worker.to_string(),
        state: state.into(),
        start_time: Some(timestamp(attempt.started)),
        end_time: ended.map(timestamp),
        error: error.map(Into::into),
    }
}

fn last_worker(task: &Task) -> String {
    let attempt = task.attempt.as_ref();
    attempt.map(|attempt| attempt.worker.to_string()).unwrap_or_default()
}

fn wire_input(payload: &Payload, resolved: Option<&Bytes>) -> Result<wire::task::Payload, ConvertError> {
    let bytes = content("input", payload, resolved)?;
    Ok(match payload.encoding {
        Encoding::Json => wire::task::Payload::Input(json("input", bytes)?),
        Encoding::Binary => wire::task::Payload::InputBytes(bytes.clone()),
    })
}

fn wire_output(payload: &Payload, resolved: Option<&Bytes>) -> Result<wire::task::Result, ConvertError> {
    let bytes = content("output", payload, resolved)?;
    Ok(match payload.encoding {
        Encoding::Json => wire::task::Result::Output(json("output", bytes)?),
        Encoding::Binary => wire::task::Result::OutputBytes(bytes.clone()),
    })
}

fn content<'a>(
    field: &'static str,
    payload: &'a Payload,
    resolved: Option<&'a Bytes>,
) -> Result<&'a Bytes, ConvertError> {
    match &payload.content {
        Content::Inline(bytes) => Ok(bytes),
        Content::Blob { .. } => resolved.ok_or(ConvertError::new(field, Problem::Unresolved)),
    }
}

fn json(field: &'static str, bytes: &[u8]) -> Result<prost_types::Value, ConvertError> {
    value::to_value(bytes).map_err(|error| ConvertError::new(field, Problem::NotJson(error.to_string())))
}

/// Trace id of a [W3C trace context](https://www.w3.org/TR/trace-context/), if it is well-formed.
pub fn trace_id(traceparent: &str) -> Option<&str> {
    let id = traceparent.split('-').nth(1)?;
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (id.len() == 32 && id.bytes().all(hex) && id.bytes().any(|byte| byte != b'0')).then_some(id)
}

/// State of the client API.
pub fn state(state: State) -> wire::State {
    match state {
        State::Blocked => wire::State::Blocked,
        State::Pending => wire::State::Pending,
        State::Running => wire::State::Running,
        State::Succeeded => wire::State::Succeeded,
        State::Failed => wire::State::Failed,
        State::Cancelled => wire::State::Cancelled,
        State::Expired => wire::State::Expired,
    }
}

impl From<Version> for wire::TaskVersion {
    fn from(version: Version) -> Self {
        Self {
            epoch: version.epoch.0,
            seq: version.seq.0,
        }
    }
}

impl From<&TaskError> for wire::TaskError {
    fn from(error: &TaskError) -> Self {
        Self {
            status: error.code.name().to_owned(),
            reason: error.reason.clone(),
            message: error.message.clone(),
        }
    }
}
