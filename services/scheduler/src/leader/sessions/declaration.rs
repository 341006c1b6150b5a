//! The attempts that a worker declares when it opens a session, against the ledger.
//!
//! Promises: what the ledger knows to run there goes on; a start that never reached the journal is recorded; what is of
//! no use any more is stopped, and what the worker has not declared is lost. Leaves the comparison of one attempt to
//! the domain's [`reconcile`].

use std::sync::Arc;

use lepton_domain::ids::{AttemptId, InstanceId};
use lepton_domain::ledger::{Command, Ledger};
use lepton_domain::session::{Reconciled, awaited, reconcile};
use lepton_domain::task::Task;

use crate::leader::clock::Now;
use crate::leader::decider::Decider;
use crate::leader::ready_queue::ReadyQueue;
use crate::message::SessionHello;

/// Attempts of a worker that has just opened a session.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Declaration {
    /// Attempts that go on.
    pub kept: Vec<AttemptId>,
    /// Attempts to stop.
    pub stops: Vec<AttemptId>,
    /// Attempts that the ledger believes to run there, and that do not.
    pub lost: Vec<AttemptId>,
}

impl Declaration {
    /// Compares a worker's declaration with the ledger. A task whose report is on its way is held in the queue: running
    /// it once more would be for nothing.
    pub fn reconcile(hello: &SessionHello, decider: &mut Decider, ready: &mut ReadyQueue, now: Now) -> Self {
        let mut declaration = Self::default();
        let awaited = awaited(decider.ledger(), &hello.ended);
        for found in reconcile(decider.ledger(), &hello.running, &hello.worker) {
            match found {
                Reconciled::Adopt(attempt) => declaration.kept.push(attempt),
                Reconciled::Stop(attempt) if awaited.contains(&attempt) => ready.hold(attempt, now),
                Reconciled::Stop(attempt) => declaration.stops.push(attempt),
                Reconciled::Start(command) => match (started(&command), decider.execute(command, now)) {
                    (Some(attempt), Ok(())) => declaration.kept.push(attempt),
                    (attempt, _) => declaration.stops.extend(attempt),
                },
            }
        }
        let mut lost = undeclared(decider.ledger(), &hello.worker);
        lost.retain(|attempt| !declaration.kept.contains(attempt));
        declaration.lost = lost;
        declaration
    }
}

/// Attempts that the ledger believes to run on a worker.
fn undeclared(ledger: &Ledger, worker: &InstanceId) -> Vec<AttemptId> {
    let on_worker = |task: &&Arc<Task>| {
        let attempt = task.attempt.as_ref();
        attempt.is_some_and(|attempt| attempt.worker == *worker)
    };
    let running = ledger.running().filter(on_worker);
    running.filter_map(|task| task.running_attempt()).collect()
}

fn started(command: &Command) -> Option<AttemptId> {
    match command {
        Command::Start { attempt, .. } => Some(*attempt),
        _ => None,
    }
}
