//! The ledger: the state of all tasks, built by applying events in order.
//!
//! Promises: the same events give the same ledger, digest included, on every machine; reads cost what they return.
//! Leaves the choice of events to [`decide`](decide()), storing them to the journal, and performing effects to the leader.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use apply::{IllegalEvent, apply};
pub use command::{Command, Rejection, Submission};
pub use decide::{Policy, decide};
pub use digest::{Mismatch, StateDigest};
pub use effect::Effect;
pub use event::Event;
pub use search::{Filter, Order, Search};
pub use snapshot::{Corrupt, Header};

use self::index::{Facts, Index};
use crate::admission::Usage;
use crate::ids::{Epoch, InstanceId, Kind, RequestId, Seq, TaskId, Tenant, Version};
use crate::task::{State, Task};
use crate::time::Timestamp;

pub mod apply;
pub mod command;
pub mod decide;
pub mod digest;
pub mod effect;
mod encode;
pub mod event;
mod index;
pub mod search;
pub mod snapshot;
#[cfg(test)]
mod tests;

/// Newest format of journal and snapshot that this version reads and writes.
pub const FORMAT_MAX: u32 = 2;
/// Format that brings histories of attempts, checkpoints, returned attempts, repeated tasks and paused kinds.
pub const HISTORY_FORMAT: u32 = 2;

/// All tasks and the indexes over them. Owned by one task of the scheduler; changed by [`apply`](apply()) alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    format: u32,
    /// Epoch of the segment being applied.
    epoch: Epoch,
    /// Newest epoch that an event has opened; others write nothing.
    opened: Epoch,
    leader: Option<InstanceId>,
    seq: Seq,
    now: Timestamp,
    tasks: BTreeMap<TaskId, Entry>,
    paused: BTreeSet<(Tenant, Kind)>,
    index: Index,
    digest: StateDigest,
}

/// Task with the hashes of its two parts in the [`StateDigest`], so that a change costs one small hash.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    task: Arc<Task>,
    fixed: StateDigest,
    moving: StateDigest,
}

impl Entry {
    fn hash(&self) -> StateDigest {
        let mut hash = self.fixed;
        hash.add(&self.moving);
        hash
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

impl Ledger {
    /// Empty ledger.
    pub fn new() -> Self {
        Self {
            format: 1,
            epoch: Epoch(0),
            opened: Epoch(0),
            leader: None,
            seq: Seq(0),
            now: Timestamp::from_micros(0),
            tasks: BTreeMap::new(),
            paused: BTreeSet::new(),
            index: Index::default(),
            digest: StateDigest::EMPTY,
        }
    }

    /// Begins a segment: events until the next call carry this epoch and this journal time, which never decreases.
    pub fn begin(&mut self, epoch: Epoch, time: Timestamp) {
        self.epoch = epoch;
        self.now = self.now.max(time);
    }

    /// Task with this id.
    pub fn task(&self, id: &TaskId) -> Option<&Arc<Task>> {
        self.tasks.get(id).map(|entry| &entry.task)
    }

    /// Task that a request made.
    pub fn find_request(&self, tenant: &Tenant, request_id: &RequestId) -> Option<&Arc<Task>> {
        self.task(&self.index.request(tenant, request_id)?)
    }

    /// All tasks, by id.
    pub fn tasks(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.tasks.values().map(|entry| &entry.task)
    }

    /// Waiting tasks, in the order of their submits.
    pub fn pending(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.index.pending().filter_map(|id| self.task(&id))
    }

    /// Running tasks, in the order of their submits.
    pub fn running(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.index.running().filter_map(|id| self.task(&id))
    }

    /// Reports whether tasks of this kind wait because their tenant has paused it.
    pub fn is_paused(&self, tenant: &Tenant, kind: &Kind) -> bool {
        !self.paused.is_empty() && self.paused.contains(&(tenant.clone(), kind.clone()))
    }

    /// Reports whether a task waits to start, and its kind is not paused.
    pub fn may_start(&self, task: &Task) -> bool {
        task.state == State::Pending && !self.is_paused(&task.tenant, &task.spec.kind)
    }

    /// Tasks that [may start](Self::may_start), in the order of their submits.
    pub fn waiting(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.pending().filter(|task| self.may_start(task))
    }

    /// Paused kinds of all tenants.
    pub fn paused(&self) -> &BTreeSet<(Tenant, Kind)> {
        &self.paused
    }

    /// Holdings of a tenant, for [`admit`](crate::admission::admit).
    pub fn usage(&self, tenant: &Tenant) -> Usage {
        self.index.usage(tenant)
    }

    /// Number of task records.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Reports whether there is no task record.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Version of the ledger: its last event.
    pub fn version(&self) -> Version {
        Version {
            epoch: self.opened,
            seq: self.seq,
        }
    }

    /// Epoch of the newest segment begun.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Leader that opened the newest epoch.
    pub fn leader(&self) -> Option<&InstanceId> {
        self.leader.as_ref()
    }

    /// Number of the last event applied.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Journal time of the newest segment begun.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Format that segments and snapshots may use.
    pub fn format(&self) -> u32 {
        self.format
    }

    /// Digest over all tasks and paused kinds. Costs nothing, as it is maintained incrementally.
    pub fn digest(&self) -> StateDigest {
        self.digest
    }

    /// Time at which the next [`Command::Tick`] has work: the earliest deadline of a live task or end of a retention.
    pub fn next_timer(&self, policy: &Policy) -> Option<Timestamp> {
        let purge = self.index.first_end().map(|ended| ended.plus(policy.retention()));
        [self.index.first_deadline(), purge].into_iter().flatten().min()
    }

    /// Hashes up to `count` tasks from this id on again and compares them with the digest. Returns the id to continue
    /// at; after the last task that is [`TaskId::MIN`]. A mismatch means damaged memory or a defect.
    pub fn scrub(&self, from: TaskId, count: usize) -> Result<TaskId, Mismatch> {
        let mut rest = self.tasks.range(from..);
        for (id, entry) in rest.by_ref().take(count) {
            let (expected, actual) = (entry.hash(), StateDigest::of(&entry.task));
            if actual != expected {
                let task = *id;
                return Err(Mismatch { task, expected, actual });
            }
        }
        Ok(rest.next().map_or(TaskId::MIN, |(id, _)| *id))
    }

    fn insert(&mut self, task: Task) {
        let (fixed, moving) = StateDigest::parts(&task);
        self.index.insert(&task);
        let id = task.id;
        let task = Arc::new(task);
        let entry = Entry { task, fixed, moving };
        self.digest.add(&entry.hash());
        self.tasks.insert(id, entry);
    }

    fn change(&mut self, id: TaskId, version: Version, edit: impl FnOnce(&mut Task)) {
        let Some(entry) = self.tasks.get_mut(&id) else { return };
        let before = Facts::of(&entry.task);
        // Copies only while someone else still reads the old record.
        let task = Arc::make_mut(&mut entry.task);
        edit(task);
        task.version = version;
        self.index.moved(&before, task);
        self.digest.remove(&entry.moving);
        entry.moving = StateDigest::moving(task);
        self.digest.add(&entry.moving);
    }

    fn pause(&mut self, tenant: &Tenant, kind: &Kind) -> bool {
        let new = self.paused.insert((tenant.clone(), kind.clone()));
        if new {
            self.digest.add(&StateDigest::of_paused(tenant, kind));
        }
        new
    }

    fn resume(&mut self, tenant: &Tenant, kind: &Kind) -> bool {
        let known = self.paused.remove(&(tenant.clone(), kind.clone()));
        if known {
            self.digest.remove(&StateDigest::of_paused(tenant, kind));
        }
        known
    }

    fn erase(&mut self, id: TaskId) {
        if let Some(entry) = self.tasks.remove(&id) {
            self.index.erase(&entry.task);
            self.digest.remove(&entry.hash());
        }
    }
}
