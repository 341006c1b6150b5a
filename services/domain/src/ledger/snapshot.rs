//! The ledger as a header and its tasks, and back.
//!
//! Promises: a restored ledger equals the one that was written, or is refused. Leaves chunks, encoding and storage to
//! the journal.

use super::{FORMAT_MAX, Ledger, StateDigest};
use crate::ids::{Epoch, InstanceId, Seq, TaskId};
use crate::task::Task;
use crate::time::Timestamp;

/// Everything of a ledger that is not a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The active format.
    pub format: u32,
    /// The epoch of the last segment begun.
    pub epoch: Epoch,
    /// The newest epoch opened.
    pub opened: Epoch,
    /// The instance that opened it.
    pub leader: Option<InstanceId>,
    /// The last event.
    pub seq: Seq,
    /// Journal time.
    pub now: Timestamp,
    /// Number of tasks that follow.
    pub tasks: u64,
    /// The digest over them.
    pub digest: StateDigest,
}

/// A snapshot that contradicts its header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// Written by a newer version.
    #[error("the snapshot has format {found}, this version reads up to {FORMAT_MAX}")]
    Format {
        /// The format in the header.
        found: u32,
    },
    /// Tasks are missing, or there are too many.
    #[error("the snapshot has {actual} tasks, its header says {expected}")]
    Count {
        /// Tasks promised.
        expected: u64,
        /// Tasks found.
        actual: u64,
    },
    /// A task, its submit event or its request is there twice.
    #[error("the snapshot has task {0}, its number or its request twice")]
    Twice(TaskId),
    /// The content differs.
    #[error("the snapshot's tasks have digest {actual}, its header says {expected}")]
    Digest {
        /// The digest in the header.
        expected: StateDigest,
        /// The digest of the tasks found.
        actual: StateDigest,
    },
}

impl Ledger {
    /// The header of a snapshot of this moment; `tasks` gives what follows it.
    pub fn snapshot_header(&self) -> Header {
        Header {
            format: self.format,
            epoch: self.epoch,
            opened: self.opened,
            leader: self.leader.clone(),
            seq: self.seq,
            now: self.now,
            tasks: self.tasks.len() as u64,
            digest: self.digest,
        }
    }

    /// The ledger of this header and these tasks, in any order.
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
