//! Indexes over the tasks: orders, counts and sets by property.
//!
//! Promises: they follow from the tasks alone; rebuilding them gives the same. Leaves the tasks themselves to the
//! [ledger](super::Ledger), and what is searched for to [`Search`](super::Search).

use std::collections::{BTreeMap, BTreeSet};

pub(super) use self::facets::{ByState, Facets};
use crate::admission::Usage;
use crate::ids::{InstanceId, RequestId, Seq, TaskId, Tenant};
use crate::task::{State, Task};
use crate::time::Timestamp;

mod facets;

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
    facets: Facets,
}

/// Fields of a task that determine its index entries. A copy, because the task changes.
#[derive(PartialEq, Eq)]
pub(super) struct Facts {
    state: State,
    ended: Option<Timestamp>,
    /// Reason of the last error.
    reason: Option<String>,
    /// Worker of the current or last attempt.
    worker: Option<InstanceId>,
}

impl Facts {
    pub(super) fn of(task: &Task) -> Self {
        Self {
            state: task.state,
            ended: task.ended,
            reason: task.error.as_ref().map(|error| error.reason.clone()),
            worker: task.attempt.as_ref().map(|attempt| attempt.worker.clone()),
        }
    }
}

impl Index {
    pub(super) fn insert(&mut self, task: &Task) {
        let book = self.tenants.entry(task.tenant.clone()).or_default();
        book.requests.insert(task.request_id.clone(), task.id);
        book.usage.stored += 1;
        let facts = Facts::of(task);
        book.facets.add(&facts, task);
        self.created.insert(task.created_seq, task.id);
        self.enter(&facts, task);
    }

    /// Reports whether another task has the index entry of this one.
    pub(super) fn holds(&self, task: &Task) -> bool {
        self.created.contains_key(&task.created_seq) || self.request(&task.tenant, &task.request_id).is_some()
    }

    /// Updates the entries of a task that changed; `before` are its former [`Facts`].
    pub(super) fn moved(&mut self, before: &Facts, task: &Task) {
        let after = Facts::of(task);
        if *before == after {
            return;
        }
        self.leave(before, task);
        self.enter(&after, task);
        if let Some(book) = self.tenants.get_mut(&task.tenant) {
            book.facets.change(before, &after, task);
        }
    }

    pub(super) fn erase(&mut self, task: &Task) {
        let facts = Facts::of(task);
        self.leave(&facts, task);
        self.created.remove(&task.created_seq);
        if let Some(book) = self.tenants.get_mut(&task.tenant) {
            book.requests.remove(&task.request_id);
            book.facets.remove(&facts, task);
            book.usage.stored -= 1;
            // Tenants come and go; an empty book would stay for ever.
            if book.usage.stored == 0 {
                self.tenants.remove(&task.tenant);
            }
        }
    }

    fn enter(&mut self, facts: &Facts, task: &Task) {
        match facts.state {
            State::Pending => drop(self.pending.insert(task.created_seq, task.id)),
            State::Running => drop(self.running.insert(task.created_seq, task.id)),
            _ => {}
        }
        if let Some(book) = self.tenants.get_mut(&task.tenant)
            && let Some(count) = count(&mut book.usage, facts.state)
        {
            *count += 1;
        }
        if let Some(ended) = facts.ended {
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
        if let Some(book) = self.tenants.get_mut(&task.tenant)
            && let Some(count) = count(&mut book.usage, before.state)
        {
            *count -= 1;
        }
        if let Some(ended) = before.ended {
            self.ends.remove(&(ended, task.id));
        } else if let Some(deadline) = task.spec.deadline {
            self.deadlines.remove(&(deadline, task.id));
        }
    }

    pub(super) fn request(&self, tenant: &Tenant, request_id: &RequestId) -> Option<TaskId> {
        self.tenants.get(tenant)?.requests.get(request_id).copied()
    }

    pub(super) fn usage(&self, tenant: &Tenant) -> Usage {
        self.tenants.get(tenant).map(|book| book.usage).unwrap_or_default()
    }

    /// Sets by property of a tenant's tasks; none while it has no task.
    pub(super) fn facets(&self, tenant: &Tenant) -> Option<&Facets> {
        self.tenants.get(tenant).map(|book| &book.facets)
    }

    /// The task of a submit.
    pub(super) fn submitted(&self, seq: Seq) -> Option<TaskId> {
        self.created.get(&seq).copied()
    }

    /// The first task submitted at or after this event.
    pub(super) fn submitted_from(&self, seq: Seq) -> Option<(Seq, TaskId)> {
        self.created.range(seq..).next().map(|(seq, id)| (*seq, *id))
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

/// The count of a tenant that has tasks in this state, for one that is limited.
fn count(usage: &mut Usage, state: State) -> Option<&mut u64> {
    match state {
        State::Blocked | State::Pending => Some(&mut usage.pending),
        State::Running => Some(&mut usage.running),
        _ => None,
    }
}
