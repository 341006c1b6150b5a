//! When a snapshot is due, and the upkeep of the journal that follows it.
//!
//! Promises: a snapshot is of the ledger at one committed segment; it is written beside the work, named by a fenced
//! write between two appends, and only then are old segments dropped, some at a time. One at a time.

use lepton_mesh::journal::Position;
use lepton_mesh::journal::snapshot::{Frozen, SnapshotError, fresh_id, needed, write};
use lepton_proto::journal::v1::SnapshotRef;
use tokio::task::JoinSet;

use super::Leader;
use super::commit::{Settled, Work};

/// What the upkeep is at.
enum Stage {
    /// Nothing to do.
    Rest,
    /// A copy of the ledger was taken, or its chunks are being written.
    Writing,
    /// The snapshot waits to be named.
    Written(SnapshotRef),
    /// Leftovers of earlier leaders are to be dropped, then old segments.
    Sweeping,
    /// Old segments are to be dropped.
    Trimming,
}

/// The upkeep.
pub(crate) struct Snapshots {
    stage: Stage,
    writing: JoinSet<Result<SnapshotRef, SnapshotError>>,
    bytes_min: u64,
    growth: (u64, u64),
    position: Position,
}

impl Snapshots {
    /// Begins at a takeover: what the leader before left is dropped first.
    pub fn new(bytes_min: u64, growth: (u64, u64), position: Position) -> Self {
        Self {
            stage: Stage::Sweeping,
            writing: JoinSet::new(),
            bytes_min,
            growth,
            position,
        }
    }

    /// Whether the next batch should take a copy of the ledger.
    pub fn due(&self) -> bool {
        let (since, last) = self.growth;
        matches!(self.stage, Stage::Rest) && needed(since, last, self.bytes_min)
    }

    /// A copy of the ledger was taken.
    pub fn taken(&mut self) {
        self.stage = Stage::Writing;
    }

    /// What the writer of the journal should do for the upkeep.
    pub fn upkeep(&mut self) -> Option<Work> {
        match std::mem::replace(&mut self.stage, Stage::Rest) {
            Stage::Written(snapshot) => Some(Work::Swap(snapshot)),
            Stage::Sweeping => Some(Work::Sweep),
            Stage::Trimming => Some(Work::Trim),
            other => {
                self.stage = other;
                None
            }
        }
    }

    /// Notes how far the journal has come.
    pub fn settled(&mut self, settled: &Settled) {
        self.growth = settled.growth;
        self.position = settled.position.clone();
    }

    /// The snapshot has its name: old segments may go.
    pub fn named(&mut self) {
        tracing::info!(segment = self.position.segment, "snapshot taken");
        self.stage = Stage::Trimming;
    }

    /// Some segments were dropped.
    pub fn trimmed(&mut self, more: bool) {
        if more {
            self.stage = Stage::Trimming;
        }
    }

    /// The written snapshot. Pending while none is being written.
    pub async fn written(&mut self) -> Option<SnapshotRef> {
        match self.writing.join_next().await {
            Some(Ok(Ok(snapshot))) => Some(snapshot),
            Some(Ok(Err(error))) => {
                tracing::warn!(%error, "the snapshot could not be written; the next batch tries again");
                None
            }
            Some(Err(error)) => {
                tracing::error!(%error, "writing the snapshot ended badly; the next batch tries again");
                None
            }
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
            .writing
            .spawn(async move { write(&etcd, &id, &position, &frozen).await });
    }

    /// Has the written snapshot named, or goes back to rest when there is none.
    pub(super) fn name_snapshot(&mut self, written: Option<SnapshotRef>) {
        self.snapshots.stage = written.map_or(Stage::Rest, Stage::Written);
    }
}
