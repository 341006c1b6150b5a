//! Following: a replica catches up with what is committed.
//!
//! Promises: a replica that fell behind what is kept loads a snapshot, and one that meets anything it cannot verify
//! stops there; an event is never skipped. Leaves when to look again to the caller: whatever it has read may be
//! stale, so `Ok` means "as far as etcd showed", never "up to date".

use super::Replica;
use super::codec::Damage;
pub use super::error::FollowError;
use super::error::SnapshotError;
use super::read::{self, Known, RANGE_SEGMENTS, Stored, View, Walk};
use super::snapshot;
use lepton_coordination::etcd::{Etcd, EtcdError};

/// Attempts of a catch-up to load a snapshot. More than once only if the manifest moved meanwhile.
const LOADS_MAX: u32 = 8;

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
