//! Indexes over the tasks: orders and counts.
//!
//! Promises: they follow from the tasks alone; rebuilding them gives the same. Leaves the tasks themselves to the
//! [ledger](super::Ledger).

use std::collections::{BTreeMap, BTreeSet};

use crate::admission::Usage;
use crate::ids::{RequestId, Seq, TaskId, Tenant};
use crate::task::{State, Task};
use crate::time::Timestamp;

/// Orders and counts over the tasks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Index {
    tenants: BTreeMap<Tenant, Book>,
    created: BTreeMap<Seq, TaskId>,
    pending: BTreeMap<Seq, TaskId>,
    running: BTreeMap<Seq, TaskId>,
    /// Live tasks that have a deadline.
    deadlines: BTreeSet<(Timestamp, TaskId)>,
    /// Ended tasks, by the time of their end.
    ends: BTreeSet<(Timestamp, TaskId)>,
}

/// Tasks of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Book {
    usage: Usage,
    requests: BTreeMap<RequestId, TaskId>,
}

/// Fields of a task that determine its index entries. A copy, because the task changes.
pub(super) struct Facts {
    state: State,
    ended: Option<Timestamp>,
}

impl Facts {
    pub(super) fn of(task: &Task) -> Self {
        Self {
            state: task.state,
            ended: task.ended,
        }
    }
}

impl Index {
    pub(super) fn insert(&mut self, task: &Task) {
        let book = self.tenants.entry(task.tenant.clone()).or_default();
        book.requests.insert(task.request_id.clone(), task.id);
        book.usage.stored += 1;
        self.created.insert(task.created_seq, task.id);
        self.enter(task);
    }

    /// Reports whether another task has the index entry of this one.
    pub(super) fn holds(&self, task: &Task) -> bool {
        self.created.contains_key(&task.created_seq) || self.request(&task.tenant, &task.request_id).is_some()
    }

    /// Updates the entries of a task that changed; `before` are its former [`Facts`].
    pub(super) fn moved(&mut self, before: &Facts, task: &Task) {
        if before.state != task.state || before.ended != task.ended {
            self.leave(before, task);
            self.enter(task);
        }
    }

    pub(super) fn erase(&mut self, task: &Task) {
        self.leave(&Facts::of(task), task);
        self.created.remove(&task.created_seq);
        if let Some(book) = self.tenants.get_mut(&task.tenant) {
            book.requests.remove(&task.request_id);
            book.usage.stored -= 1;
            // Tenants come and go; an empty book would stay for ever.
            if book.usage.stored == 0 {
                self.tenants.remove(&task.tenant);
            }
        }
    }

    fn enter(&mut self, task: &Task) {
        match task.state {
            State::Pending => drop(self.pending.insert(task.created_seq, task.id)),
            State::Running => drop(self.running.insert(task.created_seq, task.id)),
            _ => {}
        }
        if let Some(count) = self.count(&task.tenant, task.state) {
            *count += 1;
        }
        if let Some(ended) = task.ended {
            self.ends.insert((ended, task.id));
        } else if let Some(deadline) = task.spec.deadline {
            self.deadlines.insert((deadline, task.id));
        }
    }

    fn leave(&mut self, before: &Facts, task: &Task) {
        match before.state {
            State::Pending => drop(self.pending.remove(&task.created_seq)),
            State::Running => drop(self.running.remove(&task.created_seq)),
            _ => {}
        }
        if let Some(count) = self.count(&task.tenant, before.state) {
            *count -= 1;
        }
        if let Some(ended) = before.ended {
            self.ends.remove(&(ended, task.id));
        } else if let Some(deadline) = task.spec.deadline {
            self.deadlines.remove(&(deadline, task.id));
        }
    }

    fn count(&mut self, tenant: &Tenant, state: State) -> Option<&mut u64> {
        let usage = &mut self.tenants.get_mut(tenant)?.usage;
        match state {
            State::Blocked | State::Pending => Some(&mut usage.pending),
            State::Running => Some(&mut usage.running),
            _ => None,
        }
    }

    pub(super) fn request(&self, tenant: &Tenant, request_id: &RequestId) -> Option<TaskId> {
        self.tenants.get(tenant)?.requests.get(request_id).copied()
    }

    pub(super) fn usage(&self, tenant: &Tenant) -> Usage {
        self.tenants.get(tenant).map(|book| book.usage).unwrap_or_default()
    }

    pub(super) fn newest(&self, before: Option<Seq>) -> impl Iterator<Item = TaskId> {
        self.created
            .range(..before.unwrap_or(Seq(u64::MAX)))
            .rev()
            .map(|(_, id)| *id)
    }

    pub(super) fn pending(&self) -> impl Iterator<Item = TaskId> {
        self.pending.values().copied()
    }

    pub(super) fn running(&self) -> impl Iterator<Item = TaskId> {
        self.running.values().copied()
    }

    pub(super) fn first_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(super) fn first_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|(at, _)| *at)
    }

    /// Live tasks whose deadline is at or before `now`, earliest first.
    pub(super) fn overdue(&self, now: Timestamp) -> impl Iterator<Item = TaskId> {
        self.deadlines
            .iter()
            .take_while(move |(at, _)| *at <= now)
            .map(|(_, id)| *id)
    }

    /// Ended tasks with the time of their end, earliest first.
    pub(super) fn ended(&self) -> impl Iterator<Item = (Timestamp, TaskId)> {
        self.ends.iter().copied()
    }
}
