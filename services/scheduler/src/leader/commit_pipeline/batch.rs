//! The open batch: events that wait for the next append, and the effects that wait with them.
//!
//! Promises: effects come out in the order of their events. Leaves performing them to the leader.

use lepton_domain::ids::Seq;
use lepton_domain::ledger::{Event, Ledger, StateDigest};
use lepton_domain::time::Timestamp;
use lepton_journal::append::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, Draft};
use lepton_journal::codec::encoded_len;

use crate::leader::release::Release;

/// A batch that takes events.
pub(crate) struct Batch {
    format: u32,
    /// Journal time of every event in it.
    pub time: Timestamp,
    first_seq: Seq,
    state_digest: StateDigest,
    events: Vec<Event>,
    releases: Vec<Release>,
    bytes: usize,
}

impl Batch {
    /// An empty batch on top of the ledger's present state.
    pub fn open(ledger: &Ledger, time: Timestamp) -> Self {
        Self {
            format: ledger.format(),
            time,
            first_seq: ledger.seq().next(),
            state_digest: ledger.digest(),
            events: Vec::new(),
            releases: Vec::new(),
            bytes: 0,
        }
    }

    /// Adds an applied event and the effects to perform once it has committed.
    pub fn add(&mut self, event: Event, releases: impl IntoIterator<Item = Release>) {
        self.bytes += encoded_len(&event);
        self.events.push(event);
        self.releases.extend(releases);
    }

    /// Returns true at [`BATCH_EVENTS_MAX`] or [`BATCH_BYTES_MAX`]: the next event belongs in another batch.
    pub fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES_MAX || self.events.len() >= BATCH_EVENTS_MAX
    }

    /// Number of events.
    pub fn event_count(&self) -> usize {
        self.events.len()
    }

    /// Splits the batch into the [`Draft`] to write and the effects that wait for it.
    pub fn seal(self) -> (Draft, Vec<Release>) {
        let draft = Draft {
            format: self.format,
            time: self.time,
            first_seq: self.first_seq,
            state_digest: self.state_digest,
            events: self.events,
        };
        (draft, self.releases)
    }
}
