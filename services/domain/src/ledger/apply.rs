//! Application of an event: from the present state to the next one and its effects.
//!
//! Promises: an event is applied whole, or rejected with the ledger unchanged; a rejection means that journal and
//! ledger disagree, and stops the replica. Leaves rules that may change (limits, retries, retention) to
//! [`super::decide()`].

use std::sync::Arc;

use self::attempts::{Ended, attempt_failed, attempt_lost, attempt_returned};
use super::command::Submission;
use super::effect::Effect;
use super::event::Event;
use super::{FORMAT_MAX, HISTORY_FORMAT, Ledger};
use crate::ids::{AttemptId, Epoch, InstanceId, Kind, TaskId, Tenant, Version};
use crate::reason::Reason;
use crate::task::{Attempt, IllegalMove, Payload, State, Step, Task, TaskError};
use crate::time::Timestamp;

mod attempts;

/// Event that cannot follow on the present state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalEvent {
    /// Segment of an epoch that no event has opened, or of an older one.
    #[error("an event of epoch {}, while {} is open", epoch.0, opened.0)]
    EpochNotOpen {
        /// Epoch of the segment.
        epoch: Epoch,
        /// Newest epoch opened.
        opened: Epoch,
    },
    /// Written by a newer version.
    #[error("format {0} is not one that this version can write after the active one")]
    Format(u32),
    /// Event of a format that is not active.
    #[error("an event of format {needed}, while {active} is active")]
    Inactive {
        /// Format of the event.
        needed: u32,
        /// Active format.
        active: u32,
    },
    /// Pause of a paused kind, or resumption of one that is not.
    #[error("kind {0} is paused or resumed twice")]
    Pause(Kind),
    /// Task or request that exists already.
    #[error("task {0} or its request exists already")]
    Exists(TaskId),
    /// Task that does not exist.
    #[error("task {0} does not exist")]
    Unknown(TaskId),
    /// Step that the [transition table](crate::task::TABLE) does not have.
    #[error("task {task}: {error}")]
    Move {
        /// Task.
        task: TaskId,
        /// Step.
        error: IllegalMove,
    },
    /// Start whose number does not grow, or failure or loss of an attempt that is not the current one.
    #[error("attempt {0} does not follow from the task's attempts")]
    Attempt(AttemptId),
    /// Purge of a task that has not ended.
    #[error("task {0} is purged before its end")]
    Live(TaskId),
}

/// Applies one event. After an error the ledger is unchanged, and must not be used to lead any more.
pub fn apply(ledger: &mut Ledger, event: &Event) -> Result<Vec<Effect>, IllegalEvent> {
    check_epoch(ledger, event)?;
    let version = Version {
        epoch: ledger.epoch,
        seq: ledger.seq.next(),
    };
    let effects = match event {
        Event::EpochStarted { leader } => {
            ledger.opened = ledger.epoch;
            ledger.leader = Some(leader.clone());
            Vec::new()
        }
        Event::FormatActivated { format } => activate(ledger, *format)?,
        Event::Submitted(submission) => submitted(ledger, version, submission)?,
        Event::Started { attempt, worker } => started(ledger, version, *attempt, worker)?,
        Event::Succeeded {
            attempt,
            worker,
            output,
        } => succeeded(ledger, version, *attempt, worker, output)?,
        Event::AttemptFailed {
            attempt,
            worker,
            error,
            retry_at,
            checkpoint,
        } => {
            let ended = Ended::new(*attempt, worker, checkpoint);
            attempt_failed(ledger, version, &ended, error, *retry_at)?
        }
        Event::AttemptLost {
            attempt,
            worker,
            alone,
            checkpoint,
        } => {
            let ended = Ended::new(*attempt, worker, checkpoint);
            attempt_lost(ledger, version, &ended, *alone)?
        }
        Event::AttemptReturned {
            attempt,
            worker,
            checkpoint,
        } => {
            let ended = Ended::new(*attempt, worker, checkpoint);
            attempt_returned(ledger, version, &ended)?
        }
        Event::Failed { task, attempt, error } => failed(ledger, version, *task, *attempt, error)?,
        Event::Cancelled { task, message } => {
            let error = TaskError::new(Reason::Cancelled, message.as_str());
            withdrawn(ledger, version, *task, Step::Cancel, error)?
        }
        Event::Expired { task } => {
            let error = TaskError::new(Reason::DeadlineExceeded, "the task's deadline passed");
            withdrawn(ledger, version, *task, Step::Expire, error)?
        }
        Event::Purged { task } => purged(ledger, *task)?,
        Event::KindPaused { tenant, kind } => paused(ledger, tenant, kind, true)?,
        Event::KindResumed { tenant, kind } => paused(ledger, tenant, kind, false)?,
    };
    ledger.seq = version.seq;
    Ok(effects)
}

fn check_epoch(ledger: &Ledger, event: &Event) -> Result<(), IllegalEvent> {
    let legal = match event {
        Event::EpochStarted { .. } => ledger.epoch > ledger.opened,
        _ => ledger.epoch == ledger.opened && ledger.leader.is_some(),
    };
    match legal {
        true => Ok(()),
        false => Err(IllegalEvent::EpochNotOpen {
            epoch: ledger.epoch,
            opened: ledger.opened,
        }),
    }
}

fn activate(ledger: &mut Ledger, format: u32) -> Result<Vec<Effect>, IllegalEvent> {
    if format <= ledger.format || format > FORMAT_MAX {
        return Err(IllegalEvent::Format(format));
    }
    ledger.format = format;
    Ok(Vec::new())
}

fn submitted(ledger: &mut Ledger, version: Version, submission: &Submission) -> Result<Vec<Effect>, IllegalEvent> {
    let Submission {
        id,
        tenant,
        request_id,
        content_digest,
        spec,
        traceparent,
        retry_of,
    } = submission;
    if retry_of.is_some() {
        needs(ledger, HISTORY_FORMAT)?;
    }
    if ledger.task(id).is_some() || ledger.find_request(tenant, request_id).is_some() {
        return Err(IllegalEvent::Exists(*id));
    }
    ledger.insert(Task {
        id: *id,
        tenant: tenant.clone(),
        request_id: request_id.clone(),
        content_digest: *content_digest,
        spec: spec.clone(),
        state: State::Pending,
        attempts: 0,
        failures: 0,
        losses: 0,
        attempt: None,
        retry_at: None,
        output: None,
        error: None,
        created: ledger.now,
        started: None,
        ended: None,
        created_seq: version.seq,
        version,
        traceparent: traceparent.clone(),
        retry_of: *retry_of,
        history: None,
    });
    Ok(vec![Effect::Enqueue(*id), Effect::Changed(*id)])
}

fn started(
    ledger: &mut Ledger,
    version: Version,
    attempt: AttemptId,
    worker: &InstanceId,
) -> Result<Vec<Effect>, IllegalEvent> {
    let task = find(ledger, attempt.task)?;
    let state = step(task, Step::Start)?;
    if attempt.number <= task.attempts {
        return Err(IllegalEvent::Attempt(attempt));
    }
    let now = ledger.now;
    ledger.change(attempt.task, version, |task| {
        task.state = state;
        task.attempts = attempt.number;
        task.attempt = Some(Attempt {
            number: attempt.number,
            worker: worker.clone(),
            started: now,
        });
        task.started = task.started.or(Some(now));
        task.retry_at = None;
    });
    Ok(vec![Effect::Dequeue(attempt.task), Effect::Changed(attempt.task)])
}

fn succeeded(
    ledger: &mut Ledger,
    version: Version,
    attempt: AttemptId,
    worker: &InstanceId,
    output: &Payload,
) -> Result<Vec<Effect>, IllegalEvent> {
    let task = find(ledger, attempt.task)?;
    let state = step(task, Step::Succeed)?;
    let effects = ending(task, Some((attempt, worker)));
    let now = ledger.now;
    ledger.change(attempt.task, version, |task| {
        let current = task
            .attempt
            .take()
            .filter(|it| it.number == attempt.number && it.worker == *worker);
        // A start that never reached the journal is implied by its result.
        let winner = current.unwrap_or(Attempt {
            number: attempt.number,
            worker: worker.clone(),
            started: now,
        });
        task.attempts = task.attempts.max(attempt.number);
        task.started = task.started.or(Some(winner.started));
        task.attempt = Some(winner);
        task.output = Some(output.clone());
        task.error = None;
        end(task, state, now);
    });
    Ok(effects)
}

fn failed(
    ledger: &mut Ledger,
    version: Version,
    id: TaskId,
    attempt: Option<AttemptId>,
    error: &TaskError,
) -> Result<Vec<Effect>, IllegalEvent> {
    let task = match attempt {
        Some(attempt) if attempt.task != id => return Err(IllegalEvent::Attempt(attempt)),
        Some(attempt) => current(ledger, attempt, None)?,
        None => find(ledger, id)?,
    };
    let state = step(task, Step::Fail)?;
    // The attempt that ended itself needs no stop; with none named, whatever runs does.
    let own = task.attempt.as_ref().map(|it| it.worker.clone());
    let effects = ending(task, attempt.zip(own.as_ref()));
    let now = ledger.now;
    ledger.change(id, version, |task| {
        match (attempt, error.is_loss()) {
            (Some(_), true) => task.losses += 1,
            (Some(_), false) => task.failures += 1,
            (None, _) => {}
        }
        task.error = Some(error.clone());
        end(task, state, now);
    });
    Ok(effects)
}

fn withdrawn(
    ledger: &mut Ledger,
    version: Version,
    id: TaskId,
    by: Step,
    error: TaskError,
) -> Result<Vec<Effect>, IllegalEvent> {
    let task = find(ledger, id)?;
    let state = step(task, by)?;
    let effects = ending(task, None);
    let now = ledger.now;
    ledger.change(id, version, |task| {
        task.error = Some(error);
        end(task, state, now);
    });
    Ok(effects)
}

/// Waiting tasks of the kind leave the queue, or come back.
fn paused(ledger: &mut Ledger, tenant: &Tenant, kind: &Kind, paused: bool) -> Result<Vec<Effect>, IllegalEvent> {
    needs(ledger, HISTORY_FORMAT)?;
    let changed = match paused {
        true => ledger.pause(tenant, kind),
        false => ledger.resume(tenant, kind),
    };
    if !changed {
        return Err(IllegalEvent::Pause(kind.clone()));
    }
    let concerned = ledger
        .pending()
        .filter(|task| task.tenant == *tenant && task.spec.kind == *kind);
    let effect = |task: &Arc<Task>| match paused {
        true => Effect::Dequeue(task.id),
        false => Effect::Enqueue(task.id),
    };
    Ok(concerned.map(effect).collect())
}

fn needs(ledger: &Ledger, format: u32) -> Result<(), IllegalEvent> {
    match ledger.format < format {
        true => Err(IllegalEvent::Inactive {
            needed: format,
            active: ledger.format,
        }),
        false => Ok(()),
    }
}

fn purged(ledger: &mut Ledger, id: TaskId) -> Result<Vec<Effect>, IllegalEvent> {
    let task = find(ledger, id)?;
    if !task.state.is_final() {
        return Err(IllegalEvent::Live(id));
    }
    let effects = if may_have_blobs(task) {
        vec![Effect::DeleteBlobs(id)]
    } else {
        Vec::new()
    };
    ledger.erase(id);
    Ok(effects)
}

/// Reports whether blobs may exist under this task: payloads that it names, or those of an attempt that did not win.
fn may_have_blobs(task: &Task) -> bool {
    let named = task.spec.input.is_blob() || task.output.as_ref().is_some_and(Payload::is_blob);
    named || task.attempts > 1 || (task.attempts == 1 && task.state != State::Succeeded)
}

/// Effects of an end: removal from the queue, or a stop for a running attempt other than `own`.
fn ending(task: &Task, own: Option<(AttemptId, &InstanceId)>) -> Vec<Effect> {
    let mut effects = Vec::with_capacity(3);
    match (&task.attempt, task.running_attempt()) {
        (Some(running), Some(attempt)) if own != Some((attempt, &running.worker)) => {
            effects.push(Effect::Stop {
                attempt,
                worker: running.worker.clone(),
            });
        }
        (_, None) => effects.push(Effect::Dequeue(task.id)),
        _ => {}
    }
    effects.extend([Effect::Changed(task.id), Effect::Ended(task.id)]);
    effects
}

fn end(task: &mut Task, state: State, now: Timestamp) {
    task.state = state;
    task.ended = Some(now);
    task.retry_at = None;
}

fn find(ledger: &Ledger, id: TaskId) -> Result<&Task, IllegalEvent> {
    ledger.task(&id).map(AsRef::as_ref).ok_or(IllegalEvent::Unknown(id))
}

fn current<'a>(ledger: &'a Ledger, attempt: AttemptId, worker: Option<&InstanceId>) -> Result<&'a Task, IllegalEvent> {
    let task = find(ledger, attempt.task)?;
    let same = |it: &Attempt| it.number == attempt.number && worker.is_none_or(|worker| it.worker == *worker);
    match task.attempt.as_ref().is_some_and(same) {
        true => Ok(task),
        false => Err(IllegalEvent::Attempt(attempt)),
    }
}

fn step(task: &Task, by: Step) -> Result<State, IllegalEvent> {
    task.state
        .after(by)
        .map_err(|error| IllegalEvent::Move { task: task.id, error })
}
