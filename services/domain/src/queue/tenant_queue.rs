//! The tickets of one tenant, grouped by what they need from a worker.
//!
//! Promises: looks at one ticket per tickets, as the others would get the same answer. Leaves fairness between queues
//! to the queue.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use super::{Ticket, WaitingFlow};
use crate::ids::{Kind, Seq, TaskId};
use crate::task::Priority;
use crate::time::Timestamp;

/// Maximum of flows of one tenant that a scan offers before it turns to the next tenant.
const TENANT_SCAN_MAX: usize = 64;

/// Order of tickets within a tenant. Keys never change: what a waiting ticket gains by ageing, those that come meanwhile
/// lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SortKey {
    /// Time from which a ticket of the highest priority comes after this one.
    rank: Timestamp,
    priority: Priority,
    order: Seq,
    task: TaskId,
}

impl SortKey {
    /// Key of a ticket, where this much waiting outweighs one step of priority.
    pub(super) fn of(ticket: &Ticket, ageing: Duration) -> Self {
        let steps = u32::from(ticket.priority.get()) - u32::from(Priority::HIGHEST.get());
        Self {
            rank: ticket.since.plus(ageing.saturating_mul(steps)),
            priority: ticket.priority,
            order: ticket.order,
            task: ticket.task,
        }
    }
}

/// Conditions on the worker that can take a [`Ticket`]: tickets with the same ones are one flow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flow {
    kind: Kind,
    requirements: BTreeMap<String, String>,
}

impl Flow {
    pub(super) fn of(ticket: &Ticket) -> Self {
        Self {
            kind: ticket.kind.clone(),
            requirements: ticket.requirements.clone(),
        }
    }
}

/// The tickets of one tenant.
#[derive(Debug, Default)]
pub(super) struct TenantQueue {
    /// Virtual time at which its next ticket starts.
    pub(super) start: u64,
    flows: BTreeMap<Arc<Flow>, BTreeMap<SortKey, Ticket>>,
    /// First ticket of each flow, in the order of the tenant.
    heads: BTreeMap<SortKey, Arc<Flow>>,
    /// The flow of each ticket.
    members: BTreeMap<SortKey, Arc<Flow>>,
    /// The head after which the last fruitless scan stopped.
    resume: Option<SortKey>,
}

impl TenantQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn flows(&self) -> impl Iterator<Item = WaitingFlow<'_>> {
        self.flows.values().filter_map(|tickets| {
            Some(WaitingFlow {
                first: tickets.values().next()?,
                count: tickets.len(),
            })
        })
    }

    pub(super) fn insert(&mut self, flow: Flow, key: SortKey, ticket: Ticket) {
        let flow = match self.flows.get_key_value(&flow) {
            Some((known, _)) => known.clone(),
            None => Arc::new(flow),
        };
        let tickets = self.flows.entry(flow.clone()).or_default();
        let head = tickets.keys().next().copied();
        tickets.insert(key, ticket);
        self.members.insert(key, flow.clone());
        if head.is_none_or(|head| key < head) {
            head.map(|head| self.heads.remove(&head));
            self.heads.insert(key, flow);
        }
    }

    pub(super) fn remove(&mut self, key: &SortKey) -> Option<Ticket> {
        let flow = self.members.remove(key)?;
        let tickets = self.flows.get_mut(&flow)?;
        let ticket = tickets.remove(key);
        let next = tickets.keys().next().copied();
        if self.heads.remove(key).is_some() {
            match next {
                Some(next) => drop(self.heads.insert(next, flow)),
                None => drop(self.flows.remove(&flow)),
            }
        }
        ticket
    }

    /// The first head that fits. Each one offered costs one of `budget`.
    pub(super) fn scan(&mut self, budget: &mut usize, fits: &mut dyn FnMut(&Ticket) -> bool) -> Option<SortKey> {
        let resume = self.resume.take();
        let mut allowed = TENANT_SCAN_MAX.min(self.heads.len());
        let mut last = None;
        let later = (resume.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let earlier = self.heads.iter().take(if resume.is_some() { usize::MAX } else { 0 });
        for (key, flow) in self.heads.range(later).chain(earlier) {
            if allowed == 0 || *budget == 0 {
                break;
            }
            allowed -= 1;
            *budget -= 1;
            let ticket = self.flows.get(flow).and_then(|tickets| tickets.get(key));
            if ticket.is_some_and(&mut *fits) {
                return Some(*key);
            }
            last = Some(*key);
        }
        // Only what was cut short goes on where it stopped; else the most urgent is first again.
        if self.heads.len() > TENANT_SCAN_MAX || allowed > 0 {
            self.resume = last.or(resume);
        }
        None
    }
}
