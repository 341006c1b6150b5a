//! Assignment: ready tasks meet free slots.
//!
//! Promises: a [suspect](lepton_domain::task::Task::is_suspect) runs alone on its worker, one that was lost once where a worker
//! becomes idle soon; an attempt that may run only once is dispatched after its start has committed, any other at once; a loss
//! is recorded for an attempt whose session cannot take it. Leaves choosing to the [`ReadyQueue`].

use lepton_domain::ids::{AttemptId, InstanceId};
use lepton_domain::ledger::Command;
use lepton_domain::queue::Ticket;

use super::clock::Now;
use super::decider::Decider;
use super::ready_queue::ReadyQueue;
use super::release::Release;
use super::sessions::Sessions;

#[cfg(test)]
mod tests;

/// Fills free slots with ready tasks.
pub(super) fn assign(decider: &mut Decider, sessions: &mut Sessions, ready: &mut ReadyQueue, now: Now) {
    assign_suspects(decider, sessions, ready, now);
    while decider.may_decide(now) && !ready.is_empty() {
        let placed = ready.place(sessions.free_nodes(), now.journal);
        if placed.is_empty() {
            return;
        }
        for (ticket, worker) in placed {
            start(decider, sessions, ready, (ticket, worker), false, now);
        }
    }
}

/// Starts suspects on idle workers, and reserves workers for those that find none idle.
fn assign_suspects(decider: &mut Decider, sessions: &mut Sessions, ready: &mut ReadyQueue, now: Now) {
    while sessions.takes_suspect()
        && decider.may_decide(now)
        && let Some(placed) = ready.place_suspect(&sessions.idle_nodes(), now.journal)
    {
        start(decider, sessions, ready, placed, true, now);
    }
    sessions.reserve(&ready.suspects_due(&sessions.nodes(), now.journal));
}

fn start(
    decider: &mut Decider,
    sessions: &mut Sessions,
    ready: &mut ReadyQueue,
    (ticket, worker): (Ticket, InstanceId),
    alone: bool,
    now: Now,
) {
    let Some(task) = decider.ledger().task(&ticket.task) else {
        return;
    };
    let once = task.spec.run_once;
    let attempt = AttemptId {
        task: task.id,
        number: task.attempts + 1,
    };
    let Some(number) = sessions.number_of(&worker) else {
        return ready.put_back(ticket);
    };
    let command = Command::Start {
        attempt,
        worker: worker.clone(),
    };
    // Refused: the task was cancelled or started elsewhere after its ticket was made.
    if decider.execute(command, now).is_err() {
        return;
    }
    if let Some(task) = decider.ledger().task(&attempt.task) {
        ready.started(task, attempt, &worker, now);
    }
    if !sessions.take_slot(&worker, attempt, alone) {
        sessions.lose(attempt, worker);
    } else if once {
        decider.reads.wait(Release::Dispatch { number, attempt });
    } else {
        sessions.dispatch(number, attempt, decider.ledger(), now);
    }
}
