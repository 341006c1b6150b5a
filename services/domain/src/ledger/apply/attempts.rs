//! Application of an attempt's end that another attempt follows.
//!
//! Promises: from [`HISTORY_FORMAT`] on the task's history has the attempt; before, only the counts.

use super::{IllegalEvent, current, needs, step};
use crate::ids::{AttemptId, InstanceId, Version};
use crate::ledger::effect::Effect;
use crate::ledger::{HISTORY_FORMAT, Ledger};
use crate::task::{AttemptEnd, History, PastAttempt, Payload, State, Step, Task, TaskError};
use crate::time::Timestamp;

/// Attempt that ended, and another one follows.
pub(super) struct Ended<'a> {
    pub attempt: AttemptId,
    pub worker: &'a InstanceId,
    pub checkpoint: Option<&'a Payload>,
}

impl<'a> Ended<'a> {
    /// The end of this attempt.
    pub fn new(attempt: AttemptId, worker: &'a InstanceId, checkpoint: &'a Option<Payload>) -> Self {
        Self {
            attempt,
            worker,
            checkpoint: checkpoint.as_ref(),
        }
    }

    /// Moves the task back to waiting: takes its attempt away, and from [`HISTORY_FORMAT`] on records how it ended.
    fn record(
        &self,
        ledger: &mut Ledger,
        version: Version,
        state: State,
        end: AttemptEnd,
        edit: impl FnOnce(&mut Task),
    ) -> Vec<Effect> {
        let (now, kept) = (ledger.now, ledger.format >= HISTORY_FORMAT);
        ledger.change(self.attempt.task, version, |task| {
            task.state = state;
            if let (Some(attempt), true) = (task.attempt.take(), kept) {
                let past = PastAttempt {
                    attempt,
                    ended: now,
                    end,
                };
                task.history.get_or_insert_default().record(past, self.checkpoint);
            }
            edit(task);
        });
        vec![Effect::Enqueue(self.attempt.task), Effect::Changed(self.attempt.task)]
    }
}

pub(super) fn attempt_failed(
    ledger: &mut Ledger,
    version: Version,
    ended: &Ended<'_>,
    error: &TaskError,
    retry_at: Timestamp,
) -> Result<Vec<Effect>, IllegalEvent> {
    let state = step(current(ledger, ended.attempt, Some(ended.worker))?, Step::Retry)?;
    let end = AttemptEnd::Failed(error.excerpt(History::MESSAGE_BYTES_MAX));
    Ok(ended.record(ledger, version, state, end, |task| {
        task.failures += 1;
        task.retry_at = Some(retry_at);
        task.error = Some(error.clone());
    }))
}

pub(super) fn attempt_lost(
    ledger: &mut Ledger,
    version: Version,
    ended: &Ended<'_>,
    alone: bool,
) -> Result<Vec<Effect>, IllegalEvent> {
    let state = step(current(ledger, ended.attempt, Some(ended.worker))?, Step::Lose)?;
    Ok(ended.record(ledger, version, state, AttemptEnd::Lost, |task| {
        task.losses += 1;
        if let Some(history) = &mut task.history {
            history.lone_losses += u32::from(alone);
        }
    }))
}

pub(super) fn attempt_returned(
    ledger: &mut Ledger,
    version: Version,
    ended: &Ended<'_>,
) -> Result<Vec<Effect>, IllegalEvent> {
    needs(ledger, HISTORY_FORMAT)?;
    let state = step(current(ledger, ended.attempt, Some(ended.worker))?, Step::Return)?;
    Ok(ended.record(ledger, version, state, AttemptEnd::Returned, |_| {}))
}
