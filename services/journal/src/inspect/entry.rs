//! One event of the journal, for people.
//!
//! Promises: every kind of event has a name and a description in words. Leaves layout to whoever prints it.

use lepton_domain::ids::{Epoch, Seq, TaskId};
use lepton_domain::ledger::Event;
use lepton_domain::task::{Content, Payload};
use lepton_domain::time::Timestamp;

/// An event and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The segment that holds it.
    pub segment: u64,
    /// The epoch that wrote it.
    pub epoch: Epoch,
    /// Its number.
    pub seq: Seq,
    /// Journal time of its segment.
    pub time: Timestamp,
    /// The event.
    pub event: Event,
}

impl Entry {
    /// The kind of event, such as `submitted`.
    pub fn name(&self) -> &'static str {
        match &self.event {
            Event::EpochStarted { .. } => "epoch_started",
            Event::FormatActivated { .. } => "format_activated",
            Event::Submitted(_) => "submitted",
            Event::Started { .. } => "started",
            Event::Succeeded { .. } => "succeeded",
            Event::AttemptFailed { .. } => "attempt_failed",
            Event::AttemptLost { .. } => "attempt_lost",
            Event::AttemptReturned { .. } => "attempt_returned",
            Event::Failed { .. } => "failed",
            Event::Cancelled { .. } => "cancelled",
            Event::Expired { .. } => "expired",
            Event::Purged { .. } => "purged",
            Event::KindPaused { .. } => "kind_paused",
            Event::KindResumed { .. } => "kind_resumed",
        }
    }

    /// The task concerned, if any.
    pub fn task(&self) -> Option<TaskId> {
        match &self.event {
            Event::EpochStarted { .. }
            | Event::FormatActivated { .. }
            | Event::KindPaused { .. }
            | Event::KindResumed { .. } => None,
            Event::Submitted(submission) => Some(submission.id),
            Event::Started { attempt, .. }
            | Event::Succeeded { attempt, .. }
            | Event::AttemptFailed { attempt, .. }
            | Event::AttemptLost { attempt, .. }
            | Event::AttemptReturned { attempt, .. } => Some(attempt.task),
            Event::Failed { task, .. }
            | Event::Cancelled { task, .. }
            | Event::Expired { task }
            | Event::Purged { task } => Some(*task),
        }
    }

    /// Describes an event in words.
    pub fn text(&self) -> String {
        match &self.event {
            Event::EpochStarted { leader } => format!("{leader} leads"),
            Event::FormatActivated { format } => format!("format {format} may be written"),
            Event::Submitted(it) => {
                let (kind, tenant, request) = (&it.spec.kind, &it.tenant, &it.request_id);
                format!(
                    "{kind} for tenant {tenant}, request {request}, {}",
                    size(&it.spec.input)
                )
            }
            Event::Started { attempt, worker } => format!("attempt {} on {worker}", attempt.number),
            Event::Succeeded {
                attempt,
                worker,
                output,
            } => {
                format!("attempt {} on {worker} gave {}", attempt.number, size(output))
            }
            Event::AttemptFailed {
                attempt, worker, error, ..
            } => {
                format!(
                    "attempt {} on {worker}: {}: {}",
                    attempt.number, error.reason, error.message
                )
            }
            Event::AttemptLost {
                attempt, worker, alone, ..
            } => {
                let beside = if *alone { ", while it ran nothing else" } else { "" };
                format!("attempt {}: {worker} was lost{beside}", attempt.number)
            }
            Event::AttemptReturned { attempt, worker, .. } => {
                format!("attempt {}: {worker} drained and handed it back", attempt.number)
            }
            Event::Failed { error, .. } => format!("{}: {}", error.reason, error.message),
            Event::Cancelled { message, .. } => message.clone(),
            Event::Expired { .. } => "its deadline passed".to_owned(),
            Event::Purged { .. } => "its record was dropped".to_owned(),
            Event::KindPaused { tenant, kind } => format!("{kind} of tenant {tenant} waits"),
            Event::KindResumed { tenant, kind } => format!("{kind} of tenant {tenant} goes on"),
        }
    }
}

fn size(payload: &Payload) -> String {
    match &payload.content {
        Content::Inline(bytes) => format!("{} bytes", bytes.len()),
        Content::Blob { digest, size } => format!("{size} bytes in blob {digest}"),
    }
}
