//! Order of tasks: fair across tenants, then by priority and age.
//!
//! Promises: a tenant with weight w gets w shares of the starts while it has work that can run (start-time fair
//! queueing in integers), and one that had none gets no credit for that. Within a tenant a step of priority is worth the
//! ageing time: a ticket of priority p that waits since t goes ahead of every one that came after
//! t + (p - 1) * ageing, whatever its priority, so nothing starves. A ticket that no worker can take holds up only
//! tickets of the same flow; one `take` looks at a bounded number of tickets. Soft state: the leader rebuilds it from the
//! ledger. Leaves where a task runs to `placement`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use self::tenant_queue::{Flow, SortKey, TenantQueue};
use crate::ids::{Kind, Seq, TaskId, Tenant};
use crate::task::Priority;
use crate::time::Timestamp;

mod tenant_queue;
#[cfg(test)]
mod tests;

/// The most tickets that one `take` offers. The next goes on where it stopped.
pub const SCAN_MAX: usize = 256;
/// The highest weight of a tenant.
pub const WEIGHT_MAX: u32 = 1_000;
/// Waiting time that outweighs one step of priority, by default: the lowest priority is ahead of all that comes four
/// minutes later.
pub const AGEING: Duration = Duration::from_secs(60);
/// Virtual time that one start costs at weight 1; divisible enough that weights keep their ratio.
const START_COST: u64 = 1 << 20;
/// Maximum lag of a tenant's queue behind the others. A tenant that no worker could serve for an hour gets a few
/// starts in a row when one comes, not an hour's worth.
const CREDIT_MAX: u64 = 16 * START_COST;

/// A task that waits to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The task.
    pub task: TaskId,
    /// Its owner.
    pub tenant: Tenant,
    /// Its kind.
    pub kind: Kind,
    /// Order within the tenant, together with `since`.
    pub priority: Priority,
    /// Time since which it waits: its submit, or its earliest start by its submitter.
    pub since: Timestamp,
    /// Earliest start.
    pub not_before: Option<Timestamp>,
    /// Labels that its worker must have.
    pub requirements: BTreeMap<String, String>,
    /// Age: the event that submitted it.
    pub order: Seq,
}

/// Position of a [`Ticket`] in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Waiting(Timestamp),
    Ready { tenant: Tenant, key: SortKey },
}

/// Tickets of one tenant that are due and need the same of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingFlow<'a> {
    /// The first of them, which would start next.
    pub first: &'a Ticket,
    /// Number of them.
    pub count: usize,
}

/// Tickets that wait for a worker, and those that wait for their time.
#[derive(Debug)]
pub struct Queue {
    ageing: Duration,
    queues: BTreeMap<Tenant, TenantQueue>,
    /// Queues with tickets, by their virtual time.
    active: BTreeSet<(u64, Tenant)>,
    /// Queues without tickets whose share is used beyond now: kept, so that leaving and returning gains nothing.
    resting: BTreeSet<(u64, Tenant)>,
    weights: BTreeMap<Tenant, u32>,
    waiting: BTreeMap<(Timestamp, TaskId), Ticket>,
    places: BTreeMap<TaskId, Place>,
    virtual_now: u64,
    /// The queue at which the last fruitless scan ran out.
    resume: Option<(u64, Tenant)>,
}

impl Default for Queue {
    fn default() -> Self {
        Self::new()
    }
}

impl Queue {
    /// An empty queue with the default [`AGEING`].
    pub fn new() -> Self {
        Self::with_ageing(AGEING)
    }

    /// An empty queue in which so much waiting outweighs one step of priority.
    pub fn with_ageing(ageing: Duration) -> Self {
        Self {
            ageing,
            queues: BTreeMap::new(),
            active: BTreeSet::new(),
            resting: BTreeSet::new(),
            weights: BTreeMap::new(),
            waiting: BTreeMap::new(),
            places: BTreeMap::new(),
            virtual_now: 0,
            resume: None,
        }
    }

    /// Returns the number of tickets, ready or not.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns whether there is no ticket.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Returns the number of tickets that could start now, but for a worker.
    pub fn ready(&self) -> usize {
        self.places.len() - self.waiting.len()
    }

    /// Gives a tenant this share, 1 to [`WEIGHT_MAX`]; 1 is what others have.
    pub fn set_weight(&mut self, tenant: &Tenant, weight: u32) {
        match weight.clamp(1, WEIGHT_MAX) {
            1 => drop(self.weights.remove(tenant)),
            weight => drop(self.weights.insert(tenant.clone(), weight)),
        }
    }

    /// Adds a ticket; one of the same task is replaced.
    pub fn push(&mut self, ticket: Ticket) {
        self.remove(&ticket.task);
        match ticket.not_before {
            Some(at) => {
                self.places.insert(ticket.task, Place::Waiting(at));
                self.waiting.insert((at, ticket.task), ticket);
            }
            None => self.make_ready(ticket),
        }
    }

    /// Puts a ticket back that was taken and did not start, so that it costs its tenant nothing.
    pub fn put_back(&mut self, ticket: Ticket) {
        let tenant = ticket.tenant.clone();
        self.remove(&ticket.task);
        self.make_ready(ticket);
        let cost = self.cost(&tenant);
        if let Some(queue) = self.queues.get_mut(&tenant) {
            self.active.remove(&(queue.start, tenant.clone()));
            queue.start = queue.start.saturating_sub(cost);
            self.active.insert((queue.start, tenant));
        }
    }

    /// Takes the ticket of a task out, wherever it is.
    pub fn remove(&mut self, task: &TaskId) -> Option<Ticket> {
        match self.places.remove(task)? {
            Place::Waiting(at) => self.waiting.remove(&(at, *task)),
            Place::Ready { tenant, key } => {
                let queue = self.queues.get_mut(&tenant)?;
                let ticket = queue.remove(&key);
                self.settle(&tenant);
                ticket
            }
        }
    }

    /// Returns the time at which the first delayed ticket is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.waiting.keys().next().map(|(at, _)| *at)
    }

    /// Tickets that are due, by tenant and by what they need of a worker.
    pub fn flows(&self) -> impl Iterator<Item = WaitingFlow<'_>> {
        self.queues.values().flat_map(TenantQueue::flows)
    }

    /// Takes the next ticket that `fits`. The answer of `fits` may depend on kind and requirements only: of tickets
    /// that agree in both, just the first is offered.
    pub fn take(&mut self, now: Timestamp, fits: &mut dyn FnMut(&Ticket) -> bool) -> Option<Ticket> {
        self.release_due(now);
        let (tenant, key) = self.scan(fits)?;
        let cost = self.cost(&tenant);
        let queue = self.queues.get_mut(&tenant)?;
        let ticket = queue.remove(&key)?;
        self.virtual_now = self.virtual_now.max(queue.start);
        self.active.remove(&(queue.start, tenant.clone()));
        queue.start = queue.start.max(self.virtual_now.saturating_sub(CREDIT_MAX));
        queue.start += cost;
        self.active.insert((queue.start, tenant.clone()));
        self.places.remove(&ticket.task);
        self.settle(&tenant);
        self.forget_rested();
        Some(ticket)
    }

    /// Virtual time that a start of this tenant costs.
    fn cost(&self, tenant: &Tenant) -> u64 {
        START_COST / u64::from(self.weights.get(tenant).copied().unwrap_or(1))
    }

    /// Offers heads of queues in virtual time, from where the last fruitless scan ran out.
    fn scan(&mut self, fits: &mut dyn FnMut(&Ticket) -> bool) -> Option<(Tenant, SortKey)> {
        let mut budget = SCAN_MAX;
        let resume = self.resume.take();
        let from = resume.clone().unwrap_or((0, Tenant::new("")));
        // Past the end, the scan goes on with what lies before its start.
        let later = self.active.range(from.clone()..);
        let earlier = self.active.range(..from);
        for (start, tenant) in later.chain(earlier) {
            let Some(queue) = self.queues.get_mut(tenant) else {
                continue;
            };
            if let Some(key) = queue.scan(&mut budget, fits) {
                return Some((tenant.clone(), key));
            }
            if budget == 0 {
                self.resume = Some((*start, tenant.clone()));
                return None;
            }
        }
        None
    }

    fn release_due(&mut self, now: Timestamp) {
        while let Some(entry) = self.waiting.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ticket = entry.remove();
            self.make_ready(ticket);
        }
    }

    fn make_ready(&mut self, ticket: Ticket) {
        let tenant = ticket.tenant.clone();
        let key = SortKey::of(&ticket, self.ageing);
        self.places.insert(
            ticket.task,
            Place::Ready {
                tenant: tenant.clone(),
                key,
            },
        );
        let queue = self.queues.entry(tenant.clone()).or_default();
        if queue.is_empty() {
            self.resting.remove(&(queue.start, tenant.clone()));
            queue.start = queue.start.max(self.virtual_now);
            self.active.insert((queue.start, tenant));
        }
        queue.insert(Flow::of(&ticket), key, ticket);
    }

    /// After a ticket left: a queue without tickets rests.
    fn settle(&mut self, tenant: &Tenant) {
        let Some(queue) = self.queues.get(tenant).filter(|queue| queue.is_empty()) else {
            return;
        };
        let key = (queue.start, tenant.clone());
        self.active.remove(&key);
        self.resting.insert(key);
    }

    fn forget_rested(&mut self) {
        while let Some((start, tenant)) = self.resting.first() {
            if *start > self.virtual_now {
                break;
            }
            self.queues.remove(tenant);
            self.resting.pop_first();
        }
    }
}
