//! Decisions about attempts that ended without a result: failed, lost with their worker, or handed back by it.
//!
//! Promises: only what ends a worker that ran nothing else is condemned. Leaves what runs alone to the scheduler.

use super::{Policy, current};
use crate::ids::{AttemptId, InstanceId};
use crate::ledger::command::Rejection;
use crate::ledger::event::Event;
use crate::ledger::{HISTORY_FORMAT, Ledger};
use crate::reason::Reason;
use crate::task::{Payload, Task, TaskError, backoff};
use crate::time::Timestamp;

/// Attempt that ended without a result.
pub(super) struct Ended {
    pub attempt: AttemptId,
    pub worker: InstanceId,
    pub checkpoint: Option<Payload>,
}

impl Ended {
    /// Task of the attempt, which must be the current one. Without [`HISTORY_FORMAT`] its checkpoint cannot be kept.
    fn check<'a>(&mut self, ledger: &'a Ledger) -> Result<&'a Task, Rejection> {
        let task = current(ledger, self.attempt, &self.worker)?;
        if let Some(checkpoint) = &self.checkpoint {
            checkpoint.check("checkpoint").map_err(Rejection::Invalid)?;
        }
        self.checkpoint.take_if(|_| ledger.format < HISTORY_FORMAT);
        Ok(task)
    }
}

pub(super) fn fail(
    ledger: &Ledger,
    mut ended: Ended,
    error: TaskError,
    retryable: bool,
    now: Timestamp,
) -> Result<Vec<Event>, Rejection> {
    let task = ended.check(ledger)?;
    let Ended {
        attempt,
        worker,
        checkpoint,
    } = ended;
    let error = error.shortened();
    let failures = task.failures + 1;
    if !retryable || task.spec.run_once || failures >= task.spec.retry.max_attempts {
        return Ok(vec![Event::Failed {
            task: task.id,
            attempt: Some(attempt),
            error,
        }]);
    }
    let retry_at = now.plus(backoff(&task.spec.retry, task.id, failures));
    Ok(vec![Event::AttemptFailed {
        attempt,
        worker,
        error,
        retry_at,
        checkpoint,
    }])
}

pub(super) fn lose(ledger: &Ledger, policy: &Policy, mut ended: Ended, alone: bool) -> Result<Vec<Event>, Rejection> {
    let task = ended.check(ledger)?;
    let Ended {
        attempt,
        worker,
        checkpoint,
    } = ended;
    let losses = task.losses + 1;
    // Beside others any of them may be the culprit: only what ends a worker alone is condemned.
    let proved = alone || ledger.format < HISTORY_FORMAT;
    let error = if task.spec.run_once {
        let message =
            format!("worker {worker} vanished; the task may run once only, whether it did its work is unknown");
        TaskError::new(Reason::WorkerLost, message)
    } else if losses >= policy.poison_losses && proved {
        TaskError::new(
            Reason::Poison,
            format!("{losses} workers vanished while they ran it, the last was {worker}"),
        )
    } else {
        return Ok(vec![Event::AttemptLost {
            attempt,
            worker,
            alone: alone && ledger.format >= HISTORY_FORMAT,
            checkpoint,
        }]);
    };
    // One event: a journal cut between a loss and its failure would run the task again.
    Ok(vec![Event::Failed {
        task: task.id,
        attempt: Some(attempt),
        error,
    }])
}

/// Before [`HISTORY_FORMAT`] a returned attempt is a lost one.
pub(super) fn hand_back(ledger: &Ledger, mut ended: Ended) -> Result<Vec<Event>, Rejection> {
    let task = ended.check(ledger)?;
    let Ended {
        attempt,
        worker,
        checkpoint,
    } = ended;
    if task.spec.run_once {
        let message = format!("worker {worker} was drained; the task may run once only and was not finished");
        return Ok(vec![Event::Failed {
            task: task.id,
            attempt: Some(attempt),
            error: TaskError::new(Reason::WorkerLost, message),
        }]);
    }
    Ok(vec![match ledger.format < HISTORY_FORMAT {
        true => Event::AttemptLost {
            attempt,
            worker,
            alone: false,
            checkpoint,
        },
        false => Event::AttemptReturned {
            attempt,
            worker,
            checkpoint,
        },
    }])
}
