//! A task as clients see it: as a message, and as JSON with its input and output copied as they are.
//!
//! Promises: the JSON is that of `lepton.task.v1.Task` in proto-JSON, byte for byte, except that numbers inside of
//! input and output keep every digit.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lepton_domain::reason::ApiError;
use lepton_domain::task::{Content, Encoding, Payload, Task};
use lepton_domain::time::Timestamp;
use lepton_proto::convert::task::{self as convert, Resolved};
use lepton_proto::convert::time::timestamp;
use lepton_proto::proto_json;
use lepton_proto::task::v1 as wire;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::error::CallError;
use super::snapshot::TaskSnapshot;

#[cfg(test)]
pub(super) mod tests;

/// A task with everything that it keeps in the blob store.
#[derive(Debug, Clone)]
pub struct View {
    /// The task.
    pub task: Task,
    /// Progress of its running attempt.
    pub progress: Option<wire::Progress>,
    /// Reason for which it waits; empty unless it is pending.
    pub pending_reason: String,
    /// Its large payloads; absent where neither input nor output is shown.
    pub resolved: Option<Resolved>,
}

impl View {
    /// The view of a snapshot and its payloads.
    pub fn new(snapshot: TaskSnapshot, resolved: Resolved) -> Self {
        let TaskSnapshot {
            task,
            progress,
            pending_reason,
        } = snapshot;
        Self {
            task,
            progress,
            pending_reason,
            resolved: Some(resolved),
        }
    }

    /// The view of a snapshot without input and output.
    pub fn basic(snapshot: TaskSnapshot) -> Self {
        let TaskSnapshot {
            mut task,
            progress,
            pending_reason,
        } = snapshot;
        task.spec.input = Payload::json("null");
        task.output = None;
        Self {
            task,
            progress,
            pending_reason,
            resolved: None,
        }
    }

    /// As a message.
    pub fn to_wire(&self) -> Result<wire::Task, ApiError> {
        let resolved = self.resolved.as_ref();
        let task = convert::to_wire(&self.task, resolved.unwrap_or(&Resolved::default()))?;
        Ok(wire::Task {
            payload: task.payload.filter(|_| resolved.is_some()),
            progress: self.progress.clone(),
            pending_reason: self.pending_reason.clone(),
            ..task
        })
    }

    /// As JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, ApiError> {
        let mut json = Vec::with_capacity(512);
        self.write_json(&mut json)?;
        Ok(json)
    }

    /// Appends it as JSON.
    pub fn write_json(&self, out: &mut Vec<u8>) -> Result<(), ApiError> {
        let json = self.fields()?;
        serde_json::to_writer(out, &json).map_err(|error| CallError::Unprintable(error.to_string()).into())
    }

    fn fields(&self) -> Result<Json<'_>, ApiError> {
        let task = &self.task;
        let resolved = self.resolved.as_ref();
        let (input, input_bytes) = payload(resolved.map(|it| (&task.spec.input, it.input.as_ref())))?;
        let output = resolved.and_then(|it| Some((task.output.as_ref()?, it.output.as_ref())));
        let (output, output_bytes) = payload(output)?;
        Ok(Json {
            id: task.id.to_string(),
            tenant: task.tenant.as_str(),
            kind: task.spec.kind.as_str(),
            state: convert::state(task.state).as_str_name(),
            input,
            input_bytes,
            output,
            output_bytes,
            error: task.error.as_ref().map(|error| JsonError {
                status: error.code.name(),
                reason: &error.reason,
                message: &error.message,
            }),
            attempts: task.attempts,
            request_id: task.request_id.as_str(),
            create_time: time(task.created),
            start_time: task.started.map(time),
            end_time: task.ended.map(time),
            trace_id: task
                .traceparent
                .as_deref()
                .and_then(convert::trace_id)
                .unwrap_or_default(),
            version: JsonVersion {
                epoch: task.version.epoch.0,
                seq: task.version.seq.0,
            },
            priority: task.spec.priority.get(),
            labels: &task.spec.labels,
            worker: task.attempt.as_ref().map_or("", |attempt| attempt.worker.as_str()),
            progress: self.progress.as_ref().map(progress).transpose()?,
            retried_from: task.retry_of.map(|id| id.to_string()).unwrap_or_default(),
            pending_reason: &self.pending_reason,
        })
    }
}

/// The fields of `lepton.task.v1.Task` in their order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    id: String,
    tenant: &'a str,
    kind: &'a str,
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JsonError<'a>>,
    attempts: u32,
    request_id: &'a str,
    create_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    trace_id: &'a str,
    version: JsonVersion,
    priority: u8,
    labels: &'a BTreeMap<String, String>,
    worker: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Box<RawValue>>,
    retried_from: String,
    pending_reason: &'a str,
}

#[derive(Serialize)]
struct JsonError<'a> {
    status: &'a str,
    reason: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct JsonVersion {
    #[serde(serialize_with = "as_text")]
    epoch: u64,
    #[serde(serialize_with = "as_text")]
    seq: u64,
}

/// 64-bit integers are text in proto-JSON.
fn as_text<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

/// A payload, fetched where it lies in the blob store, as JSON or as base64, whichever it is.
fn payload<'a>(
    shown: Option<(&'a Payload, Option<&'a Bytes>)>,
) -> Result<(Option<&'a RawValue>, Option<String>), ApiError> {
    let Some((payload, resolved)) = shown else {
        return Ok((None, None));
    };
    let content = match &payload.content {
        Content::Inline(bytes) => Some(bytes),
        Content::Blob { .. } => resolved,
    };
    let absent = || CallError::Unprintable("a payload was not fetched from the blob store".to_owned());
    let content = content.ok_or_else(absent)?;
    match payload.encoding {
        Encoding::Binary => Ok((None, Some(STANDARD.encode(content)))),
        Encoding::Json => {
            let json = serde_json::from_slice(content);
            let json = json.map_err(|error| CallError::PayloadCorrupt(error.to_string()))?;
            Ok((Some(json), None))
        }
    }
}

fn progress(progress: &wire::Progress) -> Result<Box<RawValue>, ApiError> {
    let unprintable = |error: &dyn std::fmt::Display| CallError::Unprintable(format!("its progress: {error}"));
    let json = proto_json::encode("lepton.task.v1.Progress", progress).map_err(|error| unprintable(&error))?;
    serde_json::from_slice(&json).map_err(|error| unprintable(&error).into())
}

fn time(time: Timestamp) -> String {
    timestamp(time).to_string()
}
