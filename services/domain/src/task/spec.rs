//! Specification of a task by its submitter, and its limits.
//!
//! Promises: a spec that passes [`Spec::check`] fits into one journal event. Leaves unknown kinds to the gateway, which
//! has the list of workers.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::RetryPolicy;
use crate::ids::{ContentDigest, Kind, NAME_RULE, is_name};
use crate::reason::ApiError;
use crate::time::Timestamp;

/// Kind of a task with its input and options, as [`Spec::check`] allows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Handler that runs it.
    pub kind: Kind,
    /// Input of the handler.
    pub input: Payload,
    /// Order within the tenant.
    pub priority: Priority,
    /// Time at which it expires, running or not.
    pub deadline: Option<Timestamp>,
    /// Longest run time of one attempt.
    pub timeout: Option<Duration>,
    /// Earliest start.
    pub not_before: Option<Timestamp>,
    /// Policy after a failure.
    pub retry: RetryPolicy,
    /// Labels that a worker must have, with these values.
    pub requirements: BTreeMap<String, String>,
    /// User's labels.
    pub labels: BTreeMap<String, String>,
    /// Run at most once: the start is durable before the dispatch, and there is no retry.
    pub run_once: bool,
}

impl Spec {
    /// Most labels.
    pub const LABELS_MAX: usize = 64;
    /// Most requirements.
    pub const REQUIREMENTS_MAX: usize = 32;
    /// Longest key of a label or requirement, in bytes.
    pub const KEY_BYTES_MAX: usize = 63;
    /// Longest value of a label or requirement, in bytes.
    pub const VALUE_BYTES_MAX: usize = 255;
    /// Shortest timeout of an attempt.
    pub const TIMEOUT_MIN: Duration = Duration::from_millis(1);
    /// Longest timeout of an attempt.
    pub const TIMEOUT_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

    /// Spec of this kind and input with defaults for all options.
    pub fn new(kind: Kind, input: Payload) -> Self {
        Self {
            kind,
            input,
            priority: Priority::default(),
            deadline: None,
            timeout: None,
            not_before: None,
            retry: RetryPolicy::default(),
            requirements: BTreeMap::new(),
            labels: BTreeMap::new(),
            run_once: false,
        }
    }

    /// Checks every limit. Fails with FIELD_INVALID, which names the first field beyond its limit.
    pub fn check(&self) -> Result<(), ApiError> {
        check_kind(&self.kind)?;
        self.input.check("input")?;
        check_timeout(self.timeout)?;
        check_times(self.not_before, self.deadline)?;
        self.retry.check()?;
        check_map("requirements", &self.requirements, Self::REQUIREMENTS_MAX)?;
        check_map("labels", &self.labels, Self::LABELS_MAX)
    }
}

/// Checks the grammar of a kind. Fails with FIELD_INVALID.
pub(crate) fn check_kind(kind: &Kind) -> Result<(), ApiError> {
    let text = kind.as_str();
    match is_name(text) {
        true => Ok(()),
        false => Err(ApiError::field("kind", format!("{text:?} is not {NAME_RULE}"))),
    }
}

fn check_timeout(timeout: Option<Duration>) -> Result<(), ApiError> {
    match timeout {
        Some(limit) if !(Spec::TIMEOUT_MIN..=Spec::TIMEOUT_MAX).contains(&limit) => Err(ApiError::field(
            "timeout",
            format!("{limit:?} is not at least 1 ms and at most 7 days"),
        )),
        _ => Ok(()),
    }
}

fn check_times(not_before: Option<Timestamp>, deadline: Option<Timestamp>) -> Result<(), ApiError> {
    match not_before.zip(deadline) {
        Some((not_before, deadline)) if not_before >= deadline => Err(ApiError::field(
            "not_before",
            "is not before the deadline, so the task could never start",
        )),
        _ => Ok(()),
    }
}

fn check_map(field: &str, map: &BTreeMap<String, String>, entries_max: usize) -> Result<(), ApiError> {
    if map.len() > entries_max {
        return Err(ApiError::field(
            field,
            format!("{} entries, at most {entries_max} are taken", map.len()),
        ));
    }
    for (key, value) in map {
        if key.is_empty() || key.len() > Spec::KEY_BYTES_MAX {
            return Err(ApiError::field(field, format!("key {key:?} is not 1 to 63 bytes long")));
        }
        if value.len() > Spec::VALUE_BYTES_MAX {
            return Err(ApiError::field(
                field,
                format!("the value of {key:?} is longer than 255 bytes"),
            ));
        }
    }
    Ok(())
}

/// Urgency within a tenant, 1 to 5; 1 goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// Goes first.
    pub const HIGHEST: Self = Self(1);

    /// Priority of this number; `None` unless it is 1 to 5.
    pub const fn new(number: u8) -> Option<Self> {
        if number >= 1 && number <= 5 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Number, 1 to 5.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self(3)
    }
}

/// Input or output of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Encoding of the bytes.
    pub encoding: Encoding,
    /// Bytes, or their location.
    pub content: Content,
}

/// Encoding of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// A JSON value.
    Json,
    /// Bytes in a format of the handler.
    Binary,
}

/// Bytes of a payload, or their location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// In the journal.
    Inline(Bytes),
    /// In the blob store, under the task's id and this digest.
    Blob {
        /// SHA-256 of the content.
        digest: ContentDigest,
        /// Size in bytes.
        size: u64,
    },
}

impl Payload {
    /// Most bytes of a payload in the journal; larger ones belong into the blob store.
    pub const INLINE_BYTES_MAX: usize = 4 * 1024;

    /// JSON payload in the journal.
    pub fn json(text: impl Into<Bytes>) -> Self {
        Self {
            encoding: Encoding::Json,
            content: Content::Inline(text.into()),
        }
    }

    /// Binary payload in the journal.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self {
            encoding: Encoding::Binary,
            content: Content::Inline(bytes.into()),
        }
    }

    /// Size in bytes, wherever it lies.
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::Inline(bytes) => bytes.len() as u64,
            Content::Blob { size, .. } => *size,
        }
    }

    /// Reports whether it lies in the blob store.
    pub fn is_blob(&self) -> bool {
        matches!(self.content, Content::Blob { .. })
    }

    /// Checks that a payload in the journal is small; `field` names it in the error.
    pub fn check(&self, field: &str) -> Result<(), ApiError> {
        match &self.content {
            Content::Inline(bytes) if bytes.len() > Self::INLINE_BYTES_MAX => Err(ApiError::field(
                field,
                format!("{} bytes inline, above 4096 must be a blob", bytes.len()),
            )),
            _ => Ok(()),
        }
    }
}
