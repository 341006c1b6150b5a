//! Handing ready tasks to free slots.
//!
//! Promises: only tasks whose submit has committed are handed out, to workers that run their kind and carry their
//! labels, the least loaded first; an attempt that may run only once is handed out after its start has committed.
//! Leaves the order of tasks to the queue and the choice of workers to `placement::solve`.

use std::collections::BTreeMap;

use lepton_domain::ids::{AttemptId, InstanceId};
use lepton_domain::ledger::Command;
use lepton_domain::placement::{Item, Node, Problem, solve};
use lepton_domain::queue::Ticket;
use lepton_domain::session::Session;

use super::Leader;
use super::batch::{Batch, Release};
use super::message::SessionNumber;
use super::roster::Roster;
use crate::session::stream::assign;

/// Tickets placed at a time.
const TURN_MAX: usize = 256;

fn node(session: &Session) -> Node {
    Node {
        id: session.worker.clone(),
        capacity: session.slots,
        used: session.slots - session.credits(),
        labels: session.labels.clone(),
        kinds: session.kinds.clone(),
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

fn free_nodes(roster: &Roster) -> Vec<Node> {
    roster
        .sessions
        .values()
        .filter(|session| session.credits() > 0)
        .map(node)
        .collect()
}

impl Leader {
    /// Fills free slots with ready tasks.
    pub(super) fn assign(&mut self) {
        while self.may_assign() {
            let nodes = free_nodes(&self.roster);
            let tickets = self.take_ready(&nodes);
            if tickets.is_empty() {
                return;
            }
            let problem = Problem {
                nodes,
                items: tickets.iter().map(item).collect(),
            };
            let placed = solve(&problem, &BTreeMap::new());
            for ticket in tickets {
                match placed.get(&ticket.task) {
                    Some(worker) => self.start(&ticket, worker),
                    None => self.queue.push(ticket),
                }
            }
            if placed.is_empty() {
                return;
            }
        }
    }

    fn may_assign(&self) -> bool {
        !self.stopping && !self.stalled() && !self.queue.is_empty() && !self.batch.as_ref().is_some_and(Batch::is_full)
    }

    /// Takes tickets that some free worker suits, no more than there are free slots.
    fn take_ready(&mut self, nodes: &[Node]) -> Vec<Ticket> {
        let free: u32 = nodes.iter().map(|node| node.capacity - node.used).sum();
        let count = usize::try_from(free).unwrap_or(TURN_MAX).min(TURN_MAX);
        let now = self.clock.now();
        let mut fits = |ticket: &Ticket| nodes.iter().any(|node| node.suits(&ticket.kind, &ticket.requirements));
        std::iter::from_fn(|| self.queue.take(now, &mut fits))
            .take(count)
            .collect()
    }

    fn start(&mut self, ticket: &Ticket, worker: &InstanceId) {
        let Some(task) = self.ledger.task(&ticket.task).cloned() else {
            return;
        };
        let attempt = AttemptId {
            task: task.id,
            number: task.attempts + 1,
        };
        let once = task.spec.run_once;
        let Some(number) = self.roster.number_of(worker) else {
            return self.queue.push(ticket.clone());
        };
        // Refused: the task was cancelled or started elsewhere after its ticket was made.
        if self
            .carry_out(Command::Start {
                attempt,
                worker: worker.clone(),
            })
            .is_err()
        {
            return;
        }
        self.waits.end(&task, attempt, worker, self.clock.monotonic());
        let taken = self
            .roster
            .sessions
            .get_mut(worker)
            .is_some_and(|session| session.assign(attempt));
        if !taken {
            self.roster.lose(attempt, worker.clone());
        } else if once {
            self.release(Release::Dispatch { number, attempt });
        } else {
            self.hand_out(number, attempt);
        }
    }

    /// Sends an attempt to its worker. A session that cannot take it ends, and with it the attempt.
    pub(super) fn hand_out(&mut self, number: SessionNumber, attempt: AttemptId) {
        let Some(task) = self.ledger.task(&attempt.task) else {
            return;
        };
        // It may have been cancelled between its start and the commit of that.
        if task.running_attempt() == Some(attempt) {
            let message = assign(task, attempt, self.clock.now());
            self.roster.send(number, message);
        }
    }
}
