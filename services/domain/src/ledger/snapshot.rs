//! Snapshots: the ledger as a header and its tasks, and its restoration.
//!
//! Promises: a restored ledger equals the one that was written, or is rejected. Leaves chunks, encoding and storage to
//! the journal.

use std::collections::BTreeSet;

use super::{FORMAT_MAX, Ledger, StateDigest};
use crate::ids::{Epoch, InstanceId, Kind, Seq, TaskId, Tenant};
use crate::task::Task;
use crate::time::Timestamp;

/// State of a ledger apart from its tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Active format.
    pub format: u32,
    /// Epoch of the last segment begun.
    pub epoch: Epoch,
    /// Newest epoch opened.
    pub opened: Epoch,
    /// Leader that opened it.
    pub leader: Option<InstanceId>,
    /// Last event.
    pub seq: Seq,
    /// Journal time.
    pub now: Timestamp,
    /// Paused kinds.
    pub paused: BTreeSet<(Tenant, Kind)>,
    /// Number of tasks that follow.
    pub tasks: u64,
    /// Digest over the tasks and the paused kinds.
    pub digest: StateDigest,
}

/// Snapshot whose content differs from its [`Header`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// Written by a newer version.
    #[error("the snapshot has format {found}, this version reads up to {FORMAT_MAX}")]
    Format {
        /// Format in the header.
        found: u32,
    },
    /// Missing or surplus tasks.
    #[error("the snapshot has {actual} tasks, its header says {expected}")]
    Count {
        /// Number of tasks in the header.
        expected: u64,
        /// Number of tasks found.
        actual: u64,
    },
    /// Task, submit event or request that occurs twice.
    #[error("the snapshot has task {0}, its number or its request twice")]
    Twice(TaskId),
    /// Content with another digest.
    #[error("the snapshot's tasks have digest {actual}, its header says {expected}")]
    Digest {
        /// Digest in the header.
        expected: StateDigest,
        /// Digest of the tasks found.
        actual: StateDigest,
    },
}

impl Ledger {
    /// Header of a snapshot of the present state; [`Ledger::tasks`] returns the tasks that follow it.
    pub fn snapshot_header(&self) -> Header {
        Header {
            format: self.format,
            epoch: self.epoch,
            opened: self.opened,
            leader: self.leader.clone(),
            seq: self.seq,
            now: self.now,
            paused: self.paused.clone(),
            tasks: self.tasks.len() as u64,
            digest: self.digest,
        }
    }

    /// Ledger of this header and these tasks, in any order.
    pub fn restore(header: Header, tasks: impl IntoIterator<Item = Task>) -> Result<Self, Corrupt> {
        if header.format > FORMAT_MAX {
            return Err(Corrupt::Format { found: header.format });
        }
        let mut ledger = Self {
            format: header.format,
            epoch: header.epoch,
            opened: header.opened,
            leader: header.leader,
            seq: header.seq,
            now: header.now,
            ..Self::new()
        };
        for (tenant, kind) in &header.paused {
            ledger.pause(tenant, kind);
        }
        for task in tasks {
            if ledger.task(&task.id).is_some() || ledger.index.holds(&task) {
                return Err(Corrupt::Twice(task.id));
            }
            ledger.insert(task);
        }
        let actual = ledger.tasks.len() as u64;
        if actual != header.tasks {
            return Err(Corrupt::Count {
                expected: header.tasks,
                actual,
            });
        }
        if ledger.digest != header.digest {
            return Err(Corrupt::Digest {
                expected: header.digest,
                actual: ledger.digest,
            });
        }
        Ok(ledger)
    }
}
