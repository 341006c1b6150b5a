//! The tickets of one tenant, grouped by what they need from a worker.
//!
//! Promises: looks at one ticket per group, as the others would get the same answer. Leaves fairness between lanes
//! to the queue.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::Ticket;
use crate::ids::{Kind, Seq, TaskId};
use crate::task::Priority;

/// The most groups of one lane that a scan offers before it turns to the next lane.
const LANE_SCAN_MAX: usize = 64;

/// The order within a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    priority: Priority,
    order: Seq,
    task: TaskId,
}

impl Rank {
    pub(super) fn of(ticket: &Ticket) -> Self {
        Self {
            priority: ticket.priority,
            order: ticket.order,
            task: ticket.task,
        }
    }
}

/// What decides whether a worker can take a ticket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Needs {
    kind: Kind,
    requirements: BTreeMap<String, String>,
}

impl Needs {
    pub(super) fn of(ticket: &Ticket) -> Self {
        Self {
            kind: ticket.kind.clone(),
            requirements: ticket.requirements.clone(),
        }
    }
}

/// The tickets of one tenant.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Virtual time at which its next ticket starts.
    pub(super) start: u64,
    groups: BTreeMap<Arc<Needs>, BTreeMap<Rank, Ticket>>,
    /// The first ticket of each group, in the order of the tenant.
    heads: BTreeMap<Rank, Arc<Needs>>,
    /// Which group a ticket is in.
    members: BTreeMap<Rank, Arc<Needs>>,
    /// The head after which the last fruitless scan stopped.
    resume: Option<Rank>,
}

impl Lane {
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn insert(&mut self, needs: Needs, rank: Rank, ticket: Ticket) {
        let needs = match self.groups.get_key_value(&needs) {
            Some((known, _)) => known.clone(),
            None => Arc::new(needs),
        };
        let group = self.groups.entry(needs.clone()).or_default();
        let head = group.keys().next().copied();
        group.insert(rank, ticket);
        self.members.insert(rank, needs.clone());
        if head.is_none_or(|head| rank < head) {
            head.map(|head| self.heads.remove(&head));
            self.heads.insert(rank, needs);
        }
    }

    pub(super) fn remove(&mut self, rank: &Rank) -> Option<Ticket> {
        let needs = self.members.remove(rank)?;
        let group = self.groups.get_mut(&needs)?;
        let ticket = group.remove(rank);
        let next = group.keys().next().copied();
        if self.heads.remove(rank).is_some() {
            match next {
                Some(next) => drop(self.heads.insert(next, needs)),
                None => drop(self.groups.remove(&needs)),
            }
        }
        ticket
    }

    /// The first head that fits. Each one offered costs one of `budget`.
    pub(super) fn scan(&mut self, budget: &mut usize, fits: &mut dyn FnMut(&Ticket) -> bool) -> Option<Rank> {
        let resume = self.resume.take();
        let mut allowed = LANE_SCAN_MAX.min(self.heads.len());
        let mut last = None;
        let later = (resume.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let earlier = self.heads.iter().take(if resume.is_some() { usize::MAX } else { 0 });
        for (rank, needs) in self.heads.range(later).chain(earlier) {
            if allowed == 0 || *budget == 0 {
                break;
            }
            allowed -= 1;
            *budget -= 1;
            let ticket = self.groups.get(needs).and_then(|group| group.get(rank));
            if ticket.is_some_and(&mut *fits) {
                return Some(*rank);
            }
            last = Some(*rank);
        }
        // Only what was cut short goes on where it stopped; else the most urgent is first again.
        if self.heads.len() > LANE_SCAN_MAX || allowed > 0 {
            self.resume = last.or(resume);
        }
        None
    }
}
