//! Errors of reading the journal and its snapshots.
//!
//! Promises: an error that is transient leaves the replica as it was. Leaves errors of writing to `append` and
//! `manifest`.

use lepton_coordination::etcd::EtcdError;
use lepton_domain::ledger::{Mismatch, StateDigest};
use lepton_domain::reason::{ApiError, Reason};

use super::codec::Damage;

/// Why a replica cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// etcd did not answer; the replica is good and can try again. Every other error is the end of it.
    #[error(transparent)]
    Etcd(#[from] EtcdError),
    /// A segment is damaged or does not fit where it stands.
    #[error("segment {segment} of the journal: {why}")]
    Corrupt {
        /// The segment.
        segment: u64,
        /// Its defect.
        why: Damage,
    },
    /// A later version wrote the segment; it is never skipped.
    #[error("event {index} of segment {segment} is of a kind that this version does not know: upgrade")]
    UnknownEvent {
        /// The segment.
        segment: u64,
        /// Index of the event, from 0.
        index: usize,
    },
    /// This replica and the writer of the segment disagree about the state before it.
    #[error("before segment {segment} the writer's state had digest {expected}, this replica's has {found}")]
    DigestMismatch {
        /// The segment.
        segment: u64,
        /// The writer's digest.
        expected: StateDigest,
        /// This replica's digest.
        found: StateDigest,
    },
    /// This replica disagrees with itself: damaged memory.
    #[error("this replica is damaged: {0}")]
    Scrub(Mismatch),
    /// The manifest cannot be read.
    #[error("the manifest of the journal: {0}")]
    CorruptManifest(Damage),
    /// The replica needs a snapshot and none can be loaded.
    #[error("segments up to {floor} may be trimmed, this replica ends at {position}, and no snapshot is usable: {why}")]
    Behind {
        /// The replica's last segment.
        position: u64,
        /// The last segment that may be trimmed.
        floor: u64,
        /// Defect of the snapshots.
        why: Box<SnapshotError>,
    },
}

impl FollowError {
    /// Returns whether trying again with the same replica makes sense.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Etcd(_))
    }

    /// Converts to the error that the mesh's caller receives.
    pub fn api_error(&self) -> ApiError {
        match self {
            Self::Etcd(error) => error.api_error(),
            Self::UnknownEvent { .. } => ApiError::new(Reason::FormatUnsupported, self.to_string()),
            _ => ApiError::new(Reason::DataCorrupt, self.to_string()),
        }
    }
}

/// Why a snapshot cannot be written or loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// etcd did not answer or refused.
    #[error(transparent)]
    Etcd(#[from] EtcdError),
    /// A chunk is damaged or missing.
    #[error("chunk {chunk} of snapshot {id}: {why}")]
    Chunk {
        /// The snapshot.
        id: String,
        /// The chunk.
        chunk: u32,
        /// Its defect.
        why: Damage,
    },
    /// The chunks are whole, but not the snapshot.
    #[error("snapshot {id}: {why}")]
    Whole {
        /// The snapshot.
        id: String,
        /// Its defect.
        why: Damage,
    },
    /// The ledger is not the one after that segment.
    #[error("the ledger was frozen after event {frozen}, the segment ends with event {segment}")]
    Elsewhere {
        /// The ledger's last event.
        frozen: u64,
        /// The segment's last event.
        segment: u64,
    },
}
