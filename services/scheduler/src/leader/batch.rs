//! The events that wait for the next append, and everything that waits for them.
//!
//! Promises: releases are performed in the order in which they were added, and only after the append, or the fenced
//! write that stands in for an empty one, has succeeded. Leaves performing them to `effects`.

use std::sync::Arc;
use std::time::Duration;

use lepton_domain::ids::{AttemptId, Seq};
use lepton_domain::ledger::{Effect, Event, StateDigest};
use lepton_domain::reason::Fault;
use lepton_domain::task::Task;
use lepton_domain::time::Timestamp;
use lepton_journal::append::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, Draft};
use lepton_journal::codec::encoded_len;
use lepton_journal::snapshot::Frozen;
use tokio::sync::oneshot;

use super::message::{Answer, Page, SessionNumber, Watched};
use super::watchers::WatcherNumber;

/// Something that may be seen outside once its segment has committed.
pub(crate) enum Release {
    /// Answer a command or a read.
    Answer {
        answer: Answer,
        outcome: Result<Arc<Task>, Fault>,
    },
    /// Answer a listing.
    Listing {
        answer: oneshot::Sender<Result<Page, Fault>>,
        page: Page,
    },
    /// Refuse a watch.
    Refusal {
        answer: oneshot::Sender<Result<Watched, Fault>>,
        fault: Fault,
    },
    /// Open a watch.
    Watching {
        answer: oneshot::Sender<Result<Watched, Fault>>,
        task: Arc<Task>,
        number: WatcherNumber,
    },
    /// Show a changed task to those who watch it.
    Publish(Arc<Task>),
    /// Tell a worker what became of its report.
    Settle {
        number: SessionNumber,
        attempt: AttemptId,
        refused: Option<Fault>,
        /// When it came, by the monotonic clock.
        reported: Duration,
    },
    /// Hand out an attempt that may be handed out only once.
    Dispatch { number: SessionNumber, attempt: AttemptId },
    /// Do what the ledger asks for.
    Effect(Effect),
    /// A snapshot may be made of the ledger as it was when the batch was sealed.
    Snapshot(Frozen),
}

/// The gathering batch.
pub(crate) struct Batch {
    /// Journal time of everything in it.
    pub time: Timestamp,
    /// What waits for it.
    pub releases: Vec<Release>,
    first_seq: Seq,
    state_digest: StateDigest,
    events: Vec<Event>,
    bytes: usize,
}

impl Batch {
    /// An empty batch on top of the ledger's present state.
    pub fn open(time: Timestamp, first_seq: Seq, state_digest: StateDigest) -> Self {
        Self {
            time,
            releases: Vec::new(),
            first_seq,
            state_digest,
            events: Vec::new(),
            bytes: 0,
        }
    }

    /// Adds an event that has been applied.
    pub fn add(&mut self, event: Event) {
        self.bytes += encoded_len(&event);
        self.events.push(event);
    }

    /// Whether nothing more should be added.
    pub fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES_MAX || self.events.len() >= BATCH_EVENTS_MAX
    }

    /// How many events it has.
    pub fn event_count(&self) -> usize {
        self.events.len()
    }

    /// Splits it into what is written and what waits. Nothing is to be written when there is no event.
    pub fn seal(self) -> (Option<Draft>, Vec<Release>) {
        let draft = (!self.events.is_empty()).then_some(Draft {
            time: self.time,
            first_seq: self.first_seq,
            state_digest: self.state_digest,
            events: self.events,
        });
        (draft, self.releases)
    }
}
