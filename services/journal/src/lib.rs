//! The journal: a replicated state machine on etcd.
//!
//! Promises: one history, whatever is lost, late or repeated. Every write is fenced by the leader's epoch and by the
//! snapshot manifest as this leader knows it; an outcome that is not known is settled by repeating the same bytes;
//! whoever reads checks every link of the chain and stops at what it does not understand. Leaves deciding events to
//! the domain, and what to do with them to the scheduler.
//!
//! `codec` knows the bytes, `replay` the order, `fence` the transactions that only a leader can make. `follow`,
//! `takeover` and `append` are the three phases of a scheduler's life; `snapshot`, `manifest` and `trim` bound the
//! journal's length; `inspect` reads it without any role, and `restore` lets it go on after a loss.

pub mod append;
pub mod codec;
mod error;
mod fence;
pub mod follow;
pub mod high_water_mark;
pub mod inspect;
pub mod manifest;
pub mod mark_key;
mod read;
pub mod replay;
pub mod restore;
pub mod snapshot;
mod swap;
pub mod takeover;
pub mod trim;

use std::collections::VecDeque;

use lepton_domain::ids::{Epoch, Seq, TaskId};
use lepton_domain::ledger::{Ledger, StateDigest};
use lepton_domain::time::Timestamp;
use lepton_proto::journal::v1::Manifest;

use codec::Hash;

/// The service whose leader writes the journal.
pub const LEADER_SERVICE: &str = "scheduler";

/// Digests of past segments that a [`Replica`] remembers, for comparison with other replicas.
pub const RECENT_MAX: usize = 64;

/// A point of the journal: the last segment that a reader has seen, and the [`Manifest`] as that reader knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    /// Number of the last segment; 0 before the first.
    pub segment: u64,
    /// BLAKE3 of that encoded segment; zeros before the first.
    pub hash: Hash,
    /// Number of the last event in it.
    pub seq: Seq,
    /// Its journal time.
    pub time: Timestamp,
    /// The epoch that wrote it.
    pub epoch: Epoch,
    /// The last segment of the older snapshot: segments up to here may have been trimmed.
    pub floor: u64,
    /// The manifest's mod revision; 0 while there is none.
    pub manifest_revision: i64,
}

/// The state after a segment, for comparing replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentDigest {
    /// The segment.
    pub segment: u64,
    /// Number of its last event.
    pub seq: Seq,
    /// The digest of the ledger after it.
    pub digest: StateDigest,
}

/// A ledger built from the journal, and how far it goes. After an error other than etcd's it must be thrown away.
#[derive(Debug, Clone, Default)]
pub struct Replica {
    /// The tasks.
    pub ledger: Ledger,
    /// Up to where they are built.
    pub position: Position,
    /// The last [`RECENT_MAX`] segments applied, oldest first.
    pub recent: VecDeque<SegmentDigest>,
    /// Bytes of segments applied since the newest snapshot; a lower bound after joining late.
    bytes_since_snapshot: u64,
    /// The manifest as of the position.
    manifest: Manifest,
    /// Position at which the scrub of the ledger against its own digest continues.
    scrub_from: Option<TaskId>,
}

impl Replica {
    /// A replica that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of the segments since the newest snapshot, and of that snapshot, as [`snapshot::needed`] wants them.
    pub fn growth(&self) -> (u64, u64) {
        (self.bytes_since_snapshot, read::snapshot_bytes(&self.manifest))
    }

    /// Notes the state after the segment just applied.
    fn remember(&mut self) {
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        let Position { segment, seq, .. } = self.position;
        self.recent.push_back(SegmentDigest {
            segment,
            seq,
            digest: self.ledger.digest(),
        });
    }
}
