//! Maintenance of the journal: snapshots, and the trimming of old segments that follows them.
//!
//! Promises: a snapshot is of the ledger at one committed segment; it is written in the background, named by a fenced
//! write between two appends, and only then are old segments archived, in the background too, and dropped, some at a
//! time. One thing at a time; under load each step waits for a few appends, and no longer.

use std::ops::Range;

use lepton_coordination::etcd::Etcd;
use lepton_core::blob::Blobs;
use lepton_core::random::Random;
use lepton_domain::ids::Epoch;
use lepton_domain::ledger::Ledger;
use lepton_journal::Position;
use lepton_journal::snapshot::{Frozen, SnapshotError, fresh_id, needed, write};
use lepton_journal::trim::{self, TrimError};
use lepton_proto::journal::v1::SnapshotRef;
use tokio::task::{JoinError, JoinSet};

use self::schedule::{Schedule, Stage};
use super::commit_pipeline::{JournalEnd, WriteOutcome, WriteRequest};

mod schedule;

/// Result of a step in the background.
#[derive(Debug)]
pub(crate) enum BackgroundResult {
    /// Chunks of a snapshot were written.
    Written(Result<SnapshotRef, SnapshotError>),
    /// Old segments were archived; none when all must stay.
    Archived(Result<Option<Range<u64>>, TrimError>),
}

/// Stores that maintenance works on, and the epoch that it works for.
pub(crate) struct Stores {
    /// Holds snapshots and segments.
    pub etcd: Etcd,
    /// Holds the archive.
    pub blobs: Blobs,
    /// Source of snapshot ids.
    pub random: Random,
    /// The epoch.
    pub epoch: Epoch,
    /// The incarnation of etcd, which names the archive.
    pub incarnation: String,
}

/// The running maintenance of one leader.
pub(crate) struct Maintenance {
    stores: Stores,
    schedule: Schedule,
    background: JoinSet<BackgroundResult>,
    bytes_min: u64,
    growth: (u64, u64),
    position: Position,
}

impl Maintenance {
    /// Begins at a takeover, by dropping what earlier leaders left behind. A snapshot is due after `bytes_min` bytes.
    pub fn new(stores: Stores, bytes_min: u64, journal: JournalEnd) -> Self {
        Self {
            stores,
            schedule: Schedule::new(),
            background: JoinSet::new(),
            bytes_min,
            growth: journal.growth,
            position: journal.position,
        }
    }

    /// Ends maintenance: a leader that resigns leaves the rest to its successor.
    pub fn stop(&mut self) {
        self.schedule.stop();
    }

    /// Copies the ledger if a snapshot is due. Call it when a batch is sealed.
    pub fn freeze(&mut self, ledger: &Ledger) -> Option<Frozen> {
        let (bytes_since, last) = self.growth;
        let due = self.schedule.is_idle() && needed(bytes_since, last, self.bytes_min);
        due.then(|| {
            self.schedule.enter(Stage::Background);
            Frozen::of(ledger)
        })
    }

    /// Returns true when maintenance, if there is any, has let enough appends go first.
    pub fn has_waited(&self) -> bool {
        self.schedule.has_waited()
    }

    /// Takes the write that maintenance wants next.
    pub fn next_write(&mut self) -> Option<WriteRequest> {
        self.schedule.next_write()
    }

    /// Takes note of a finished write, and goes on if it was one of maintenance.
    pub fn write_finished(&mut self, outcome: WriteOutcome, journal: JournalEnd) {
        self.growth = journal.growth;
        self.position = journal.position;
        match outcome {
            WriteOutcome::Appended => self.schedule.appended(),
            WriteOutcome::Confirmed => {}
            WriteOutcome::Swapped => {
                tracing::info!(segment = self.position.segment, "snapshot taken");
                self.archive_old();
            }
            WriteOutcome::Swept | WriteOutcome::Trimmed { dropped: true } => self.archive_old(),
            // They wait for the next snapshot.
            WriteOutcome::Trimmed { dropped: false } => self.schedule.enter(Stage::Idle),
        }
    }

    /// Starts writing the copy that the last append has just made valid.
    pub fn write_snapshot(&mut self, frozen: Frozen) {
        let etcd = self.stores.etcd.clone();
        let id = fresh_id(self.stores.epoch, &self.stores.random);
        let position = self.position.clone();
        self.background
            .spawn(async move { BackgroundResult::Written(write(&etcd, &id, &position, &frozen).await) });
    }

    /// Starts archiving some of the segments that may go.
    fn archive_old(&mut self) {
        let Stores {
            etcd,
            blobs,
            incarnation,
            ..
        } = &self.stores;
        let (etcd, blobs, incarnation) = (etcd.clone(), blobs.clone(), incarnation.clone());
        let position = self.position.clone();
        self.schedule.enter(Stage::Background);
        self.background.spawn(async move {
            let archived = async {
                let due = trim::due(&etcd, &position).await?;
                if let Some(segments) = &due {
                    trim::archive(&etcd, &blobs, &incarnation, segments).await?;
                }
                Ok(due)
            };
            BackgroundResult::Archived(archived.await)
        });
    }

    /// Waits for the end of a step in the background; pending while there is none.
    pub async fn background_result(&mut self) -> Result<BackgroundResult, JoinError> {
        match self.background.join_next().await {
            Some(result) => result,
            None => std::future::pending().await,
        }
    }

    /// Goes on after a step in the background. One that failed waits for the next snapshot.
    pub fn background_finished(&mut self, result: Result<BackgroundResult, JoinError>) {
        self.schedule.enter(match result {
            Ok(BackgroundResult::Written(Ok(snapshot))) => Stage::Written(snapshot),
            Ok(BackgroundResult::Written(Err(error))) => {
                tracing::warn!(%error, "the snapshot could not be written; the next batch tries again");
                Stage::Idle
            }
            Ok(BackgroundResult::Archived(Ok(Some(segments)))) => Stage::Archived(segments),
            Ok(BackgroundResult::Archived(Ok(None))) => Stage::Idle,
            Ok(BackgroundResult::Archived(Err(error))) => {
                tracing::warn!(%error, "old segments stay until the next snapshot");
                Stage::Idle
            }
            Err(error) => {
                tracing::error!(%error, "the upkeep of the journal broke down; the next snapshot tries again");
                Stage::Idle
            }
        });
    }
}
