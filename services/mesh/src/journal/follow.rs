//! Following: a replica catches up with what is committed.
//!
//! Promises: a replica that fell behind what is kept loads a snapshot, and one that meets anything it cannot verify
//! stops there; an event is never skipped. Leaves when to look again to the caller: whatever it has read may be
//! stale, so `Ok` means "as far as etcd showed", never "up to date".

use lepton_domain::ledger::{Mismatch, StateDigest};
use lepton_domain::reason::{Fault, Reason};

use super::Replica;
use super::codec::Damage;
use super::read::{self, Known, Walk};
use super::snapshot::{self, SnapshotError};
use crate::etcd::{Etcd, EtcdError};

/// How often a catch-up starts over because the manifest moved under it. Each time means a new snapshot.
const ROUNDS_MAX: u32 = 8;

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
        /// What is wrong with it.
        why: Damage,
    },
    /// A later version wrote the segment; it is never skipped.
    #[error("event {index} of segment {segment} is of a kind that this version does not know: upgrade")]
    UnknownEvent {
        /// The segment.
        segment: u64,
        /// Which of its events, from 0.
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
        /// What is wrong with the snapshots.
        why: SnapshotError,
    },
}

impl FollowError {
    /// Whether trying again with the same replica makes sense.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Etcd(_))
    }

    /// As the caller of the mesh is told.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Etcd(error) => error.fault(),
            Self::UnknownEvent { .. } => Fault::new(Reason::FormatUnsupported, self.to_string()),
            _ => Fault::new(Reason::DataCorrupt, self.to_string()),
        }
    }
}

/// What a catch-up did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Segments applied.
    pub segments: u64,
    /// Events applied.
    pub events: u64,
    /// Bytes of those segments.
    pub bytes: u64,
    /// The snapshot that was loaded, by the last segment that it covers.
    pub snapshot: Option<u64>,
    /// The store's revision when the manifest was read.
    pub store_revision: i64,
}

/// Brings the replica as far as etcd shows: a snapshot where it has to, then segments.
pub async fn catch_up(etcd: &Etcd, replica: &mut Replica) -> Result<Progress, FollowError> {
    let mut progress = Progress::default();
    let mut gap_at = None;
    for _ in 0..ROUNDS_MAX {
        let known = read::manifest(etcd).await?;
        progress.store_revision = known.store_revision;
        if !load_if_needed(etcd, replica, &known, &mut progress).await? {
            continue;
        }
        replica.know(&known);
        let Some(missing) = follow_segments(etcd, replica, &mut progress).await? else {
            return Ok(progress);
        };
        // Trimmed between the two reads, or lost? If it was trimmed, the manifest has moved.
        if gap_at.replace((missing, known.revision)) == Some((missing, known.revision)) {
            return Err(FollowError::Corrupt {
                segment: missing,
                why: Damage::Missing,
            });
        }
    }
    Err(FollowError::Etcd(EtcdError::Unavailable(
        "the journal's manifest moved during every read".to_owned(),
    )))
}

/// Loads a snapshot into a replica that has nothing, or that ends before what is surely kept. `false` if the manifest
/// has moved meanwhile and has to be read again.
async fn load_if_needed(
    etcd: &Etcd,
    replica: &mut Replica,
    known: &Known,
    progress: &mut Progress,
) -> Result<bool, FollowError> {
    let position = replica.position.segment;
    let floor = read::floor(&known.manifest);
    if position >= floor && position > 0 {
        return Ok(true);
    }
    let mut failure = None;
    for reference in [&known.manifest.newest, &known.manifest.older].into_iter().flatten() {
        match snapshot::load(etcd, reference).await {
            Ok(loaded) => {
                progress.snapshot = Some(reference.segment);
                *replica = loaded;
                return Ok(true);
            }
            Err(SnapshotError::Etcd(error)) => return Err(error.into()),
            Err(error) => failure = Some(error),
        }
        // A snapshot's chunks are deleted once the manifest no longer names it.
        if read::manifest(etcd).await?.revision != known.revision {
            return Ok(false);
        }
        tracing::error!(
            snapshot = reference.id,
            error = failure.as_ref().map(tracing::field::display),
            "bad snapshot"
        );
    }
    match failure {
        Some(why) if floor > position => Err(FollowError::Behind { position, floor, why }),
        _ => Ok(true),
    }
}

/// Applies the segments after the replica's position. Gives the number of one that is missing although later ones
/// are there.
async fn follow_segments(
    etcd: &Etcd,
    replica: &mut Replica,
    progress: &mut Progress,
) -> Result<Option<u64>, FollowError> {
    let mut walk = Walk::from(etcd, replica.position.segment + 1);
    while let Some(range) = walk.next().await? {
        for stored in range {
            let expected = replica.position.segment + 1;
            if stored.number != expected {
                return Ok(Some(expected));
            }
            let events = replica.apply(&stored)?;
            progress.segments += 1;
            progress.events += events.len() as u64;
            progress.bytes += stored.bytes.len() as u64;
        }
    }
    Ok(None)
}

impl Replica {
    /// Notes what the manifest says.
    pub(super) fn know(&mut self, known: &Known) {
        if known.revision != self.position.manifest_revision {
            self.manifest.clone_from(&known.manifest);
            self.bytes_since_snapshot = 0;
        }
        self.position.floor = read::floor(&known.manifest);
        self.position.manifest_revision = known.revision;
    }
}
