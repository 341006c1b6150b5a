//! Task records and snapshot headers: the stored ledger, and tasks in messages between services.
//!
//! Promises: a record gives back exactly the task that it was made from. Leaves chunks, checksums and the comparison of
//! digests to the journal and to the ledger.

use lepton_domain::ids::{Epoch, InstanceId, Kind, RequestId, Seq, Tenant, Version};
use lepton_domain::ledger::{Header, StateDigest};
use lepton_domain::task::{Attempt, AttemptEnd, History, PastAttempt, State, Task};
use lepton_domain::time::Timestamp;

use super::event::{paused_kind, read_retry_of, read_traceparent, traceparent_text};
use super::{ConvertError, Problem, content_digest, digest_bytes, exact, required, task, task_id, task_id_bytes};
use crate::journal::v1 as wire;
use wire::past_attempt::End;

#[cfg(test)]
mod tests;

impl From<&Task> for wire::TaskRecord {
    fn from(task: &Task) -> Self {
        Self {
            id: task_id_bytes(task.id),
            tenant: task.tenant.to_string(),
            request_id: task.request_id.to_string(),
            content_digest: digest_bytes(&task.content_digest),
            spec: Some((&task.spec).into()),
            traceparent: traceparent_text(task.traceparent.as_ref()),
            state: state_number(task.state),
            attempts: task.attempts,
            failures: task.failures,
            losses: task.losses,
            attempt: task.attempt.as_ref().map(Into::into),
            retry_at_us: task.retry_at.map(Timestamp::as_micros),
            output: task.output.as_ref().map(Into::into),
            error: task.error.as_ref().map(Into::into),
            created_us: task.created.as_micros(),
            started_us: task.started.map(Timestamp::as_micros),
            ended_us: task.ended.map(Timestamp::as_micros),
            created_seq: task.created_seq.0,
            epoch: task.version.epoch.0,
            seq: task.version.seq.0,
            retry_of: task.retry_of.map(task_id_bytes).unwrap_or_default(),
            history: task.history.as_deref().map(Into::into),
        }
    }
}

impl TryFrom<wire::TaskRecord> for Task {
    type Error = ConvertError;

    fn try_from(record: wire::TaskRecord) -> Result<Self, ConvertError> {
        Ok(Self {
            id: task_id("task.id", &record.id)?,
            tenant: Tenant::new(record.tenant),
            request_id: RequestId::new(record.request_id),
            content_digest: content_digest("task.content_digest", &record.content_digest)?,
            spec: required("task.spec", record.spec)?.try_into()?,
            state: read_state("task.state", record.state)?,
            attempts: record.attempts,
            failures: record.failures,
            losses: record.losses,
            attempt: record.attempt.map(Into::into),
            retry_at: record.retry_at_us.map(Timestamp::from_micros),
            output: record.output.map(TryInto::try_into).transpose()?,
            error: record.error.map(TryInto::try_into).transpose()?,
            created: Timestamp::from_micros(record.created_us),
            started: record.started_us.map(Timestamp::from_micros),
            ended: record.ended_us.map(Timestamp::from_micros),
            created_seq: Seq(record.created_seq),
            version: Version {
                epoch: Epoch(record.epoch),
                seq: Seq(record.seq),
            },
            traceparent: read_traceparent(record.traceparent),
            retry_of: read_retry_of("task.retry_of", &record.retry_of)?,
            history: record
                .history
                .map(|history| History::try_from(history).map(Box::new))
                .transpose()?,
        })
    }
}

impl From<&History> for wire::AttemptHistory {
    fn from(history: &History) -> Self {
        Self {
            attempts: history.attempts.iter().map(Into::into).collect(),
            lone_losses: history.lone_losses,
            checkpoint: history.checkpoint.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<wire::AttemptHistory> for History {
    type Error = ConvertError;

    fn try_from(history: wire::AttemptHistory) -> Result<Self, ConvertError> {
        let attempts = history.attempts.into_iter().map(PastAttempt::try_from);
        Ok(Self {
            attempts: attempts.collect::<Result<_, _>>()?,
            lone_losses: history.lone_losses,
            checkpoint: history.checkpoint.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<&PastAttempt> for wire::PastAttempt {
    fn from(past: &PastAttempt) -> Self {
        Self {
            attempt: Some((&past.attempt).into()),
            ended_us: past.ended.as_micros(),
            end: Some(match &past.end {
                AttemptEnd::Failed(error) => End::Failed(error.into()),
                AttemptEnd::Lost => End::Lost(wire::LostWorker {}),
                AttemptEnd::Returned => End::Returned(wire::DrainedWorker {}),
            }),
        }
    }
}

impl TryFrom<wire::PastAttempt> for PastAttempt {
    type Error = ConvertError;

    fn try_from(past: wire::PastAttempt) -> Result<Self, ConvertError> {
        Ok(Self {
            attempt: required("history.attempt", past.attempt)?.into(),
            ended: Timestamp::from_micros(past.ended_us),
            end: match required("history.end", past.end)? {
                End::Failed(failure) => AttemptEnd::Failed(failure.try_into()?),
                End::Lost(_) => AttemptEnd::Lost,
                End::Returned(_) => AttemptEnd::Returned,
            },
        })
    }
}

impl From<&Attempt> for wire::StartedAttempt {
    fn from(attempt: &Attempt) -> Self {
        Self {
            number: attempt.number,
            worker: attempt.worker.to_string(),
            started_us: attempt.started.as_micros(),
        }
    }
}

impl From<wire::StartedAttempt> for Attempt {
    fn from(attempt: wire::StartedAttempt) -> Self {
        Self {
            number: attempt.number,
            worker: InstanceId::new(attempt.worker),
            started: Timestamp::from_micros(attempt.started_us),
        }
    }
}

/// Number of a [`State`] in records and in queries between services.
pub fn state_number(state: State) -> u32 {
    i32::from(task::state(state)).cast_unsigned()
}

/// [`State`] with this number; `field` names it in the error.
pub fn read_state(field: &'static str, number: u32) -> Result<State, ConvertError> {
    let found = State::ALL.iter().copied().find(|state| state_number(*state) == number);
    found.ok_or(ConvertError::new(field, Problem::Unknown(number.into())))
}

/// Header of a snapshot: the ledger's part, and the segment that the snapshot covers.
pub fn snapshot_header(header: &Header, segment: u64, segment_hash: bytes::Bytes) -> wire::SnapshotHeader {
    wire::SnapshotHeader {
        segment,
        segment_hash,
        epoch: header.epoch.0,
        seq: header.seq.0,
        journal_time_us: header.now.as_micros(),
        ledger_format: header.format,
        state_digest: state_digest_bytes(&header.digest),
        task_count: header.tasks,
        opened_epoch: header.opened.0,
        leader: header.leader.as_ref().map(ToString::to_string).unwrap_or_default(),
        paused: header
            .paused
            .iter()
            .map(|(tenant, kind)| paused_kind(tenant, kind))
            .collect(),
    }
}

impl TryFrom<&wire::SnapshotHeader> for Header {
    type Error = ConvertError;

    fn try_from(header: &wire::SnapshotHeader) -> Result<Self, ConvertError> {
        Ok(Self {
            format: header.ledger_format,
            epoch: Epoch(header.epoch),
            opened: Epoch(header.opened_epoch),
            leader: Some(&header.leader)
                .filter(|leader| !leader.is_empty())
                .map(|it| InstanceId::new(it.as_str())),
            seq: Seq(header.seq),
            now: Timestamp::from_micros(header.journal_time_us),
            paused: header
                .paused
                .iter()
                .map(|it| (Tenant::new(it.tenant.as_str()), Kind::new(it.kind.as_str())))
                .collect(),
            tasks: header.task_count,
            digest: read_state_digest("snapshot.state_digest", &header.state_digest)?,
        })
    }
}

/// State digest in segments, snapshots and statistics, the inverse of [`read_state_digest`].
pub fn state_digest_bytes(digest: &StateDigest) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(&digest.to_bytes())
}

/// Parses a state digest; `field` names it in the error.
pub fn read_state_digest(field: &'static str, bytes: &[u8]) -> Result<StateDigest, ConvertError> {
    exact(field, bytes).map(StateDigest::from_bytes)
}
