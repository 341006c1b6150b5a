//! Suspects: waiting tasks that a worker was lost with, and that therefore run alone.
//!
//! Promises: in the order of their submits, as far as a worker suits them; looks at a bounded number at a time; a task that was
//! lost once waits for an idle worker for a bounded time, one that was lost twice as long as it takes. Leaves
//! making a worker idle to [`Sessions`](crate::leader::sessions::Sessions).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use lepton_domain::ids::{Seq, TaskId};
use lepton_domain::queue::Ticket;
use lepton_domain::time::Timestamp;

/// Tickets that one placement looks at.
const SCAN_MAX: usize = 64;
/// Time for which a task that was lost once waits for an idle worker: a worker's death must not make everything that it ran
/// wait in line.
const PATIENCE: Duration = Duration::from_secs(5);

/// The tickets of suspects.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    tickets: BTreeMap<Seq, Ticket>,
    orders: HashMap<TaskId, Seq>,
    /// Times from which tasks that were lost once may run beside others.
    patience: BTreeSet<(Timestamp, Seq)>,
}

impl Suspects {
    /// Number of tickets, due or not.
    pub fn len(&self) -> usize {
        self.tickets.len()
    }

    /// Returns true if a task has a ticket here.
    pub fn contains(&self, task: &TaskId) -> bool {
        self.orders.contains_key(task)
    }

    /// Adds a ticket; one of the same task is replaced. Tasks that were lost once have [`PATIENCE`] from their time on.
    pub fn push(&mut self, ticket: Ticket, losses: u32, now: Timestamp) {
        self.remove(&ticket.task);
        if losses <= 1 {
            let from = ticket.not_before.map_or(now, |at| at.max(now));
            self.patience.insert((from.plus(PATIENCE), ticket.order));
        }
        self.orders.insert(ticket.task, ticket.order);
        self.tickets.insert(ticket.order, ticket);
    }

    /// Takes the ticket of a task out, if it has one.
    pub fn remove(&mut self, task: &TaskId) -> Option<Ticket> {
        let order = self.orders.remove(task)?;
        self.patience.retain(|(_, waits)| *waits != order);
        self.tickets.remove(&order)
    }

    /// Takes a ticket that has waited for an idle worker as long as it should.
    pub fn take_impatient(&mut self, now: Timestamp) -> Option<Ticket> {
        let (_, order) = self.patience.first().copied().filter(|(until, _)| *until <= now)?;
        self.patience.pop_first();
        let ticket = self.tickets.remove(&order)?;
        self.orders.remove(&ticket.task);
        Some(ticket)
    }

    /// Tickets that are due, the oldest first.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = &Ticket> {
        let due = move |ticket: &&Ticket| ticket.not_before.is_none_or(|at| at <= now);
        self.tickets.values().take(SCAN_MAX).filter(due)
    }

    /// Time at which the first of the tickets that is not yet due will be.
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let later = self.tickets.values().filter_map(|ticket| ticket.not_before);
        later.filter(|at| *at > now).min()
    }
}
