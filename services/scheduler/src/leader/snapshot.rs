//! When a snapshot is due, and the upkeep of the journal that follows it.
//!
//! Promises: a snapshot is of the ledger at one committed segment; it is written beside the work, named by a fenced
//! write between two appends, and only then are old segments archived, beside the work too, and dropped, some at a time.
//! One thing at a time; under load each step waits for a few appends, and no longer.

use std::ops::Range;

use lepton_journal::Position;
use lepton_journal::snapshot::{Frozen, SnapshotError, fresh_id, needed, write};
use lepton_journal::trim::{self, TrimError};
use lepton_proto::journal::v1::SnapshotRef;
use tokio::task::{JoinError, JoinSet};

use super::Leader;
use super::commit::{Settled, Work};

/// Appends that may go before a piece of upkeep.
const APPENDS_MAX: u32 = 8;

/// What the upkeep is at.
enum Stage {
    /// Nothing to do.
    Rest,
    /// Something goes on beside the work.
    Beside,
    /// The snapshot waits to be named.
    Written(SnapshotRef),
    /// Leftovers of earlier leaders are to be dropped, then old segments.
    Sweeping,
    /// These segments are in the archive and are to be dropped.
    Archived(Range<u64>),
}

/// What has been done beside the work.
pub(crate) enum Beside {
    /// Chunks of a snapshot were written.
    Written(Result<SnapshotRef, SnapshotError>),
    /// Old segments were archived; none when all must stay.
    Archived(Result<Option<Range<u64>>, TrimError>),
}

/// The upkeep.
pub(crate) struct Snapshots {
    stage: Stage,
    beside: JoinSet<Beside>,
    bytes_min: u64,
    growth: (u64, u64),
    position: Position,
    appends: u32,
}

impl Snapshots {
    /// Begins at a takeover: what the leader before left is dropped first.
    pub fn new(bytes_min: u64, growth: (u64, u64), position: Position) -> Self {
        Self {
            stage: Stage::Sweeping,
            beside: JoinSet::new(),
            bytes_min,
            growth,
            position,
            appends: 0,
        }
    }

    /// Whether the next batch should take a copy of the ledger.
    pub fn due(&self) -> bool {
        let (since, last) = self.growth;
        matches!(self.stage, Stage::Rest) && needed(since, last, self.bytes_min)
    }

    /// A copy of the ledger was taken.
    pub fn taken(&mut self) {
        self.stage = Stage::Beside;
    }

    /// An append was made, which upkeep may have waited for.
    pub fn appended(&mut self) {
        self.appends = self.appends.saturating_add(1);
    }

    /// Whether upkeep, if there is any, has let enough appends go first.
    pub fn has_waited(&self) -> bool {
        self.appends >= APPENDS_MAX
    }

    /// What the writer of the journal should do for the upkeep.
    pub fn upkeep(&mut self) -> Option<Work> {
        let work = match std::mem::replace(&mut self.stage, Stage::Rest) {
            Stage::Written(snapshot) => Work::Swap(snapshot),
            Stage::Sweeping => Work::Sweep,
            Stage::Archived(segments) => Work::Trim(segments),
            other => {
                self.stage = other;
                return None;
            }
        };
        // Until it has settled, nothing else of the upkeep may begin.
        self.stage = Stage::Beside;
        self.appends = 0;
        Some(work)
    }

    /// Notes how far the journal has come.
    pub fn settled(&mut self, settled: &Settled) {
        self.growth = settled.growth;
        self.position = settled.position.clone();
    }

    /// What was done beside the work. Pending while nothing is.
    pub async fn done(&mut self) -> Result<Beside, JoinError> {
        match self.beside.join_next().await {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }
}

impl Leader {
    /// Starts writing the copy that the last append has just made valid.
    pub(super) fn write_snapshot(&mut self, frozen: Frozen) {
        let etcd = self.world.etcd.clone();
        let id = fresh_id(self.epoch, &self.world.random);
        let position = self.snapshots.position.clone();
        self.snapshots
            .beside
            .spawn(async move { Beside::Written(write(&etcd, &id, &position, &frozen).await) });
    }

    /// The snapshot has its name: old segments may go.
    pub(super) fn named(&mut self) {
        tracing::info!(segment = self.snapshots.position.segment, "snapshot taken");
        self.archive_old();
    }

    /// Starts archiving some of the segments that may go.
    pub(super) fn archive_old(&mut self) {
        let (etcd, blobs) = (self.world.etcd.clone(), self.world.blobs.clone());
        let (incarnation, position) = (self.incarnation.clone(), self.snapshots.position.clone());
        self.snapshots.stage = Stage::Beside;
        self.snapshots.beside.spawn(async move {
            let archived = async {
                let due = trim::due(&etcd, &position).await?;
                if let Some(segments) = &due {
                    trim::archive(&etcd, &blobs, &incarnation, segments).await?;
                }
                Ok(due)
            };
            Beside::Archived(archived.await)
        });
    }

    /// Some segments were dropped, and there may be more; or they could not be, and wait for the next snapshot.
    pub(super) fn trimmed(&mut self, dropped: bool) {
        if dropped {
            self.archive_old();
        } else {
            self.snapshots.stage = Stage::Rest;
        }
    }

    /// Goes on with what was done beside the work, or rests when it failed.
    pub(super) fn go_on(&mut self, done: Result<Beside, JoinError>) {
        self.snapshots.stage = match done {
            Ok(Beside::Written(Ok(snapshot))) => Stage::Written(snapshot),
            Ok(Beside::Written(Err(error))) => {
                tracing::warn!(%error, "the snapshot could not be written; the next batch tries again");
                Stage::Rest
            }
            Ok(Beside::Archived(Ok(Some(segments)))) => Stage::Archived(segments),
            Ok(Beside::Archived(Ok(None))) => Stage::Rest,
            Ok(Beside::Archived(Err(error))) => {
                tracing::warn!(%error, "old segments stay until the next snapshot");
                Stage::Rest
            }
            Err(error) => {
                tracing::error!(%error, "the upkeep of the journal broke down; the next snapshot tries again");
                Stage::Rest
            }
        };
    }
}
