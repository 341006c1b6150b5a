//! Canonical bytes of a task, for hashing only.
//!
//! Promises: different tasks have different bytes (everything of variable length carries its length), equal tasks the
//! same on every machine. Starts with a version, to be raised with every change here. Nothing ever decodes it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{Kind, Tenant};
use crate::task::{
    Attempt, AttemptEnd, Content, Encoding, History, PastAttempt, Payload, RetryPolicy, Spec, Task, TaskError,
};
use crate::time::Timestamp;

const ENCODING_VERSION: u8 = 1;
const PART_FIXED: u8 = 1;
const PART_MOVING: u8 = 2;
const PART_PAUSED: u8 = 3;

/// Marks of optional fields that were added later: written only where the field is set, so that a task without them
/// keeps its hash when a newer format is activated.
const EXTENSION_RETRY_OF: u8 = 1;
const EXTENSION_HISTORY: u8 = 2;

/// Task in two parts, so that a change does not hash again what cannot change, which is most of it.
pub(super) struct Parts {
    /// Submitted fields.
    pub(super) fixed: Vec<u8>,
    /// Fields that change afterwards.
    pub(super) moving: Vec<u8>,
}

/// Encodes both parts of a task.
pub(super) fn task(task: &Task) -> Parts {
    Parts {
        fixed: fixed(task),
        moving: moving(task),
    }
}

fn fixed(task: &Task) -> Vec<u8> {
    let mut out = Bytes::new(task, PART_FIXED, 512 + inline_bytes(Some(&task.spec.input)));
    out.text(task.tenant.as_str());
    out.text(task.request_id.as_str());
    out.raw(&task.content_digest.0);
    out.spec(&task.spec);
    out.time(&task.created);
    out.number(task.created_seq.0);
    out.option(task.traceparent.as_ref(), |out, text| out.text(text));
    out.extension(EXTENSION_RETRY_OF, task.retry_of.as_ref(), |out, id| {
        out.raw(&id.as_u128().to_le_bytes());
    });
    out.0
}

/// Destructures by name, so that a new field does not compile until it is in one of the parts.
pub(super) fn moving(task: &Task) -> Vec<u8> {
    let Task {
        id: _,
        tenant: _,
        request_id: _,
        content_digest: _,
        spec: _,
        created: _,
        created_seq: _,
        traceparent: _,
        retry_of: _,
        state,
        attempts,
        failures,
        losses,
        attempt,
        retry_at,
        output,
        error,
        started,
        ended,
        version,
        history,
    } = task;
    let mut out = Bytes::new(task, PART_MOVING, 256 + inline_bytes(output.as_ref()));
    out.byte(*state as u8);
    out.number(u64::from(*attempts));
    out.number(u64::from(*failures));
    out.number(u64::from(*losses));
    out.option(attempt.as_ref(), Bytes::attempt);
    out.option(retry_at.as_ref(), Bytes::time);
    out.option(output.as_ref(), Bytes::payload);
    out.option(error.as_ref(), Bytes::error);
    out.option(started.as_ref(), Bytes::time);
    out.option(ended.as_ref(), Bytes::time);
    out.number(version.epoch.0);
    out.number(version.seq.0);
    out.extension(EXTENSION_HISTORY, history.as_deref(), Bytes::history);
    out.0
}

/// Encodes a paused kind.
pub(super) fn paused(tenant: &Tenant, kind: &Kind) -> Vec<u8> {
    let mut out = Bytes(vec![ENCODING_VERSION, PART_PAUSED]);
    out.text(tenant.as_str());
    out.text(kind.as_str());
    out.0
}

fn inline_bytes(payload: Option<&Payload>) -> usize {
    match payload.map(|payload| &payload.content) {
        Some(Content::Inline(bytes)) => bytes.len(),
        _ => 0,
    }
}

struct Bytes(Vec<u8>);

impl Bytes {
    /// Begins with the task's id, so that parts of two tasks cannot change places.
    fn new(task: &Task, part: u8, capacity: usize) -> Self {
        let mut out = Self(Vec::with_capacity(capacity));
        out.byte(ENCODING_VERSION);
        out.byte(part);
        out.raw(&task.id.as_u128().to_le_bytes());
        out
    }

    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn number(&mut self, number: u64) {
        self.raw(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.raw(text.as_bytes());
    }

    fn time(&mut self, time: &Timestamp) {
        self.number(time.as_micros());
    }

    fn duration(&mut self, duration: &Duration) {
        self.number(duration.as_secs());
        self.number(u64::from(duration.subsec_nanos()));
    }

    fn option<T>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn extension<T>(&mut self, mark: u8, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        if let Some(value) = value {
            self.byte(mark);
            write(self, value);
        }
    }

    fn history(&mut self, history: &History) {
        let History {
            attempts,
            lone_losses,
            checkpoint,
        } = history;
        self.number(attempts.len() as u64);
        for PastAttempt { attempt, ended, end } in attempts {
            self.attempt(attempt);
            self.time(ended);
            match end {
                AttemptEnd::Failed(error) => {
                    self.byte(0);
                    self.error(error);
                }
                AttemptEnd::Lost => self.byte(1),
                AttemptEnd::Returned => self.byte(2),
            }
        }
        self.number(u64::from(*lone_losses));
        self.option(checkpoint.as_ref(), Bytes::payload);
    }

    fn map(&mut self, map: &BTreeMap<String, String>) {
        self.number(map.len() as u64);
        for (key, value) in map {
            self.text(key);
            self.text(value);
        }
    }

    fn spec(&mut self, spec: &Spec) {
        let Spec {
            kind,
            input,
            priority,
            deadline,
            timeout,
            not_before,
            retry,
            requirements,
            labels,
            run_once,
        } = spec;
        let RetryPolicy {
            max_attempts,
            initial_backoff,
            max_backoff,
            multiplier_percent,
        } = retry;
        self.text(kind.as_str());
        self.payload(input);
        self.byte(priority.get());
        self.option(deadline.as_ref(), Bytes::time);
        self.option(timeout.as_ref(), Bytes::duration);
        self.option(not_before.as_ref(), Bytes::time);
        self.number(u64::from(*max_attempts));
        self.duration(initial_backoff);
        self.duration(max_backoff);
        self.number(u64::from(*multiplier_percent));
        self.map(requirements);
        self.map(labels);
        self.byte(u8::from(*run_once));
    }

    fn payload(&mut self, payload: &Payload) {
        self.byte(match payload.encoding {
            Encoding::Json => 0,
            Encoding::Binary => 1,
        });
        match &payload.content {
            Content::Inline(bytes) => {
                self.byte(0);
                self.number(bytes.len() as u64);
                self.raw(bytes);
            }
            Content::Blob { digest, size } => {
                self.byte(1);
                self.raw(&digest.0);
                self.number(*size);
            }
        }
    }

    fn attempt(&mut self, attempt: &Attempt) {
        let Attempt {
            number,
            worker,
            started,
        } = attempt;
        self.number(u64::from(*number));
        self.text(worker.as_str());
        self.time(started);
    }

    fn error(&mut self, error: &TaskError) {
        let TaskError { code, reason, message } = error;
        self.number(u64::from(code.number().unsigned_abs()));
        self.text(reason);
        self.text(message);
    }
}
