//! Pending tasks on their way to a worker: the queue, and the tasks that are held out of it for a moment.
//!
//! Promises: a held task is not in the queue; only tasks whose submit has committed come in. Leaves the order of tasks
//! to the domain's [`Queue`] and the choice of workers to [`solve`].

use std::collections::BTreeMap;
use std::time::Duration;

use lepton_domain::ids::{AttemptId, InstanceId, TaskId};
use lepton_domain::ledger::Ledger;
use lepton_domain::placement::{Item, Node, Problem, solve};
use lepton_domain::queue::{Queue, Ticket, WaitingFlow};
use lepton_domain::task::{State, Task};
use lepton_domain::time::Timestamp;

use self::suspects::Suspects;
use super::clock::Now;
use super::report_grace::HeldTasks;
use super::spans::QueueWaits;

mod suspects;
#[cfg(test)]
mod tests;

/// Tickets placed at a time.
const PLACED_MAX: usize = 256;

/// Queue, held tasks, and the waits of those whose traces are sampled.
#[derive(Default)]
pub(crate) struct ReadyQueue {
    queue: Queue,
    suspects: Suspects,
    held: HeldTasks,
    waits: QueueWaits,
}

impl ReadyQueue {
    /// Nothing waits; tasks are taken in the order of this empty queue.
    pub fn new(queue: Queue) -> Self {
        Self {
            queue,
            ..Self::default()
        }
    }

    /// Tasks that are due, by tenant and by what they need of a worker; each [suspect](Task::is_suspect) by itself, and at
    /// most the first of those.
    pub fn flows(&self, now: Timestamp) -> impl Iterator<Item = WaitingFlow<'_>> {
        let alone = |first| WaitingFlow { first, count: 1 };
        self.suspects.due(now).map(alone).chain(self.queue.flows())
    }

    /// Returns true while a task is [held](Self::hold).
    pub fn holds(&self, task: &TaskId) -> bool {
        self.held.covers(task)
    }

    /// Returns true if a task waits as a [suspect](Task::is_suspect), for a worker of its own.
    pub fn waits_to_run_alone(&self, task: &TaskId) -> bool {
        self.suspects.contains(task)
    }

    /// Number of tasks in the queue, due or not.
    pub fn len(&self) -> usize {
        self.queue.len() + self.suspects.len()
    }

    /// Returns true when no task is in the queue.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Moment at which the next delayed task is due, if that is still to come.
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let queued = self.queue.next_due().filter(|due| *due > now);
        queued.into_iter().chain(self.suspects.next_due(now)).min()
    }

    /// Puts a pending task into the queue. One that has been cancelled or started meanwhile, or that is held, stays
    /// out.
    pub fn enqueue(&mut self, task: &Task, now: Now) {
        if task.state != State::Pending || self.held.covers(&task.id) {
            return;
        }
        let ticket = ticket(task);
        let due = ticket.not_before.map_or(Duration::ZERO, |at| at.since(now.journal));
        self.waits.begin(task, now.monotonic + due);
        match task.is_suspect() {
            true => self.suspects.push(ticket, task.losses, now.journal),
            false => self.queue.push(ticket),
        }
    }

    /// Puts a task into the queue if by the ledger it may start: it waits, and its kind is not paused.
    pub fn enqueue_if_startable(&mut self, ledger: &Ledger, id: &TaskId, now: Now) {
        if let Some(task) = ledger.task(id).filter(|task| ledger.may_start(task)) {
            self.enqueue(task, now);
        }
    }

    /// Puts back a [`Ticket`] that found no worker.
    pub fn put_back(&mut self, ticket: Ticket) {
        self.queue.put_back(ticket);
    }

    /// Takes a task out that has started or ended.
    pub fn remove(&mut self, task: &TaskId) {
        self.queue.remove(task);
        self.suspects.remove(task);
        self.held.forget(task);
        self.waits.forget(task);
    }

    /// Records the start of a task, which ends its wait.
    pub fn started(&mut self, task: &Task, attempt: AttemptId, worker: &InstanceId, now: Now) {
        self.waits.end(task, attempt, worker, now.monotonic);
    }

    /// Keeps a task out of the queue until the report of this attempt is here, or its grace is over.
    pub fn hold(&mut self, attempt: AttemptId, now: Now) {
        if self.held.hold(attempt, now.monotonic) {
            self.queue.remove(&attempt.task);
            self.suspects.remove(&attempt.task);
        }
    }

    /// Ends the [hold](Self::hold) on a task whose report has arrived; true if it was held, and is to be enqueued.
    pub fn end_hold(&mut self, task: &TaskId) -> bool {
        self.held.end(task)
    }

    /// Ends the holds whose reports did not come in time, and returns their tasks, which are to be enqueued.
    pub fn expire_holds(&mut self, now: Now) -> Vec<TaskId> {
        self.held.expire(now.monotonic)
    }

    /// Takes the next tasks that fit free workers, each with the worker that [`solve`] chose: no more than there are
    /// free slots.
    pub fn place(&mut self, nodes: Vec<Node>, now: Timestamp) -> Vec<(Ticket, InstanceId)> {
        while let Some(ticket) = self.suspects.take_impatient(now) {
            self.queue.push(ticket);
        }
        let tickets = self.take_ready(&nodes, now);
        if tickets.is_empty() {
            return Vec::new();
        }
        let problem = Problem {
            nodes,
            items: tickets.iter().map(item).collect(),
        };
        let mut workers = solve(&problem, &BTreeMap::new());
        let mut placed = Vec::with_capacity(tickets.len());
        for ticket in tickets {
            match workers.remove(&ticket.task) {
                Some(worker) => placed.push((ticket, worker)),
                None => self.queue.put_back(ticket),
            }
        }
        placed
    }

    /// Takes the next [suspect](Task::is_suspect) that one of these idle workers suits.
    pub fn place_suspect(&mut self, idle: &[Node], now: Timestamp) -> Option<(Ticket, InstanceId)> {
        let place = |ticket: &Ticket| Some((ticket.task, suited(ticket, idle).next()?.clone()));
        let (task, worker) = self.suspects.due(now).find_map(place)?;
        Some((self.suspects.remove(&task)?, worker))
    }

    /// For each suspect that is due, the oldest first, those of the workers that suit it.
    pub fn suspects_due(&self, nodes: &[Node], now: Timestamp) -> Vec<Vec<InstanceId>> {
        let due = self.suspects.due(now);
        due.map(|ticket| suited(ticket, nodes).cloned().collect()).collect()
    }

    fn take_ready(&mut self, nodes: &[Node], now: Timestamp) -> Vec<Ticket> {
        let free: u32 = nodes.iter().map(|node| node.capacity - node.used).sum();
        let count = usize::try_from(free).unwrap_or(PLACED_MAX).min(PLACED_MAX);
        let mut fits = |ticket: &Ticket| nodes.iter().any(|node| node.suits(&ticket.kind, &ticket.requirements));
        std::iter::from_fn(|| self.queue.take(now, &mut fits))
            .take(count)
            .collect()
    }
}

fn suited<'a>(ticket: &'a Ticket, nodes: &'a [Node]) -> impl Iterator<Item = &'a InstanceId> {
    let suits = |node: &&Node| node.suits(&ticket.kind, &ticket.requirements);
    nodes.iter().filter(suits).map(|node| &node.id)
}

fn ticket(task: &Task) -> Ticket {
    Ticket {
        task: task.id,
        tenant: task.tenant.clone(),
        kind: task.spec.kind.clone(),
        priority: task.spec.priority,
        since: task.spec.not_before.map_or(task.created, |at| at.max(task.created)),
        not_before: task.not_before(),
        requirements: task.spec.requirements.clone(),
        order: task.created_seq,
    }
}

fn item(ticket: &Ticket) -> Item {
    Item {
        id: ticket.task,
        demand: 1,
        kind: ticket.kind.clone(),
        requirements: ticket.requirements.clone(),
    }
}
