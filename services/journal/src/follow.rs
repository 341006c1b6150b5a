//! Following: a replica catches up with what is committed.
//!
//! Promises: a replica that fell behind what is kept loads a snapshot, and one that meets anything it cannot verify
//! stops there; an event is never skipped. Leaves when to look again to the caller: whatever it has read may be
//! stale, so `Ok` means "as far as etcd showed", never "up to date".

use lepton_domain::ledger::{Mismatch, StateDigest};
use lepton_domain::reason::{Fault, Reason};

use super::Replica;
use super::codec::Damage;
use super::read::{self, Known, RANGE_SEGMENTS, Stored, View, Walk};
use super::snapshot::{self, SnapshotError};
use lepton_coordination::etcd::{Etcd, EtcdError};

/// Attempts of a catch-up to load a snapshot. More than once only if the manifest moved meanwhile.
const LOADS_MAX: u32 = 8;

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
    pub fn fault(&self) -> Fault {
        match self {
            Self::Etcd(error) => error.fault(),
            Self::UnknownEvent { .. } => Fault::new(Reason::FormatUnsupported, self.to_string()),
            _ => Fault::new(Reason::DataCorrupt, self.to_string()),
        }
    }
}

/// Result of a catch-up of a [`Replica`].
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
    let (mut loads, mut replay) = (0, false);
    loop {
        let View { known, range, more } = read::view(etcd, replica.position.segment + 1).await?;
        progress.store_revision = known.store_revision;
        if needs_snapshot(replica, &known, replay) {
            replay = !load(etcd, replica, &known, &mut progress).await?;
            loads += 1;
            if loads == LOADS_MAX {
                return Err(EtcdError::Unavailable("the manifest moved at every look".to_owned()).into());
            }
            continue;
        }
        replica.know(&known);
        let full = range.len() as u64 == RANGE_SEGMENTS;
        let whole = apply(replica, range, &mut progress)?;
        if !whole || (more && !full) {
            // Manifest and segments are of one revision: this was not trimmed, it is lost.
            return Err(FollowError::Corrupt {
                segment: replica.position.segment + 1,
                why: Damage::Missing,
            });
        }
        if !more {
            return Ok(progress);
        }
        // Far behind: on with several ranges at once. A hole among them is for the next view to judge.
        let mut walk = Walk::from(etcd, replica.position.segment + 1);
        while let Some(range) = walk.next().await? {
            if !apply(replica, range, &mut progress)? {
                break;
            }
        }
    }
}

/// Applies segments. `false` if the one that should come next is not among them although a later one is.
fn apply(replica: &mut Replica, range: Vec<Stored>, progress: &mut Progress) -> Result<bool, FollowError> {
    for stored in range {
        if stored.number != replica.position.segment + 1 {
            return Ok(false);
        }
        let events = replica.apply(&stored)?;
        progress.segments += 1;
        progress.events += events.len() as u64;
        progress.bytes += stored.bytes.len() as u64;
    }
    Ok(true)
}

/// Returns whether the replica ends before what is surely kept, or has nothing while there is a snapshot that may be
/// usable.
fn needs_snapshot(replica: &Replica, known: &Known, replay: bool) -> bool {
    let position = replica.position.segment;
    position < read::floor(&known.manifest) || (position == 0 && known.manifest.newest.is_some() && !replay)
}

/// Loads the newest snapshot that is usable. `false` when none is but the segments suffice; the replica is as it was
/// then, and also when the manifest has moved meanwhile and has to be looked at again.
async fn load(etcd: &Etcd, replica: &mut Replica, known: &Known, progress: &mut Progress) -> Result<bool, FollowError> {
    let mut failure = None;
    for reference in [&known.manifest.newest, &known.manifest.older].into_iter().flatten() {
        match snapshot::load(etcd, reference).await {
            Ok(loaded) => {
                progress.snapshot = Some(reference.segment);
                *replica = loaded;
                return Ok(true);
            }
            Err(SnapshotError::Etcd(error)) => return Err(error.into()),
            Err(error) => {
                // A snapshot's chunks are deleted once the manifest no longer names it.
                if read::manifest(etcd).await?.revision != known.revision {
                    return Ok(true);
                }
                tracing::error!(%error, "a snapshot of the journal is damaged");
                failure = Some(error);
            }
        }
    }
    let (position, floor) = (replica.position.segment, read::floor(&known.manifest));
    match failure {
        Some(why) if floor > position => {
            let why = Box::new(why);
            Err(FollowError::Behind { position, floor, why })
        }
        _ => Ok(false),
    }
}

impl Replica {
    /// Records the content of the manifest.
    pub(super) fn know(&mut self, known: &Known) {
        if known.revision != self.position.manifest_revision {
            self.manifest.clone_from(&known.manifest);
            self.bytes_since_snapshot = 0;
        }
        self.position.floor = read::floor(&known.manifest);
        self.position.manifest_revision = known.revision;
    }
}
