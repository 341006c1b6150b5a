//! Decision of a command: from the present state to events, by every rule of Lepton's tasks.
//!
//! Promises: reads only its arguments; a command that is rejected, or that changes nothing, gives no event. Leaves
//! applying the events, which the caller does at once, to [`super::apply()`].

use std::time::Duration;

use self::attempts::{Ended, fail, hand_back, lose};
use super::command::{Command, Rejection, Submission};
use super::event::Event;
use super::{FORMAT_MAX, HISTORY_FORMAT, Ledger};
use crate::admission::{Limits, admit};
use crate::ids::{AttemptId, InstanceId, Kind, TaskId, Tenant};
use crate::reason::{ApiError, Reason};
use crate::task::spec::check_kind;
use crate::task::{Payload, State, Task, TaskError};
use crate::text::head;
use crate::time::Timestamp;

mod attempts;

/// Operator's settings. They shape new events and never the meaning of old ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Limits of tenants.
    pub limits: Limits,
    /// Retention of the records of ended tasks, at least [`Policy::RETENTION_MIN`], so that request ids live that long.
    pub retention: Duration,
    /// Lost workers after which a task counts as poison.
    pub poison_losses: u32,
}

impl Policy {
    /// Shortest retention.
    pub const RETENTION_MIN: Duration = Duration::from_secs(10 * 60);

    /// Retention in force.
    pub fn retention(&self) -> Duration {
        self.retention.max(Self::RETENTION_MIN)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            retention: Duration::from_secs(60 * 60),
            poison_losses: 3,
        }
    }
}

/// Most events of one [`Command::Tick`]; the rest is due at the next.
pub const TICK_EVENTS_MAX: usize = 500;
/// Most kinds paused at a time, over all tenants.
pub const PAUSED_MAX: usize = 1_000;
/// Highest attempt number; far above the limits of retries and losses, so that numbers never run out.
pub const ATTEMPT_NUMBER_MAX: u32 = 1_000_000;

/// Returns the events of a command in the present state, or its [`Rejection`].
pub fn decide(ledger: &Ledger, policy: &Policy, command: Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
    match command {
        Command::OpenEpoch { leader } => open_epoch(ledger, leader),
        Command::Submit(submission) => submit(ledger, policy, submission, now),
        Command::Start { attempt, worker } => start(ledger, attempt, worker),
        Command::Succeed {
            attempt,
            worker,
            output,
        } => succeed(ledger, attempt, worker, output),
        Command::Fail {
            attempt,
            worker,
            error,
            retryable,
            checkpoint,
        } => fail(
            ledger,
            Ended {
                attempt,
                worker,
                checkpoint,
            },
            error,
            retryable,
            now,
        ),
        Command::Lose {
            attempt,
            worker,
            alone,
            checkpoint,
        } => lose(
            ledger,
            policy,
            Ended {
                attempt,
                worker,
                checkpoint,
            },
            alone,
        ),
        Command::Return {
            attempt,
            worker,
            checkpoint,
        } => hand_back(
            ledger,
            Ended {
                attempt,
                worker,
                checkpoint,
            },
        ),
        Command::Purge { task } => purge(ledger, task, now),
        Command::SetPaused { tenant, kind, paused } => set_paused(ledger, tenant, kind, paused),
        Command::Cancel { task, message } => cancel(ledger, task, &message),
        Command::Tick => Ok(tick(ledger, policy, now)),
        Command::ActivateFormat { format } => activate_format(ledger, format),
    }
}

fn open_epoch(ledger: &Ledger, leader: InstanceId) -> Result<Vec<Event>, Rejection> {
    if ledger.epoch <= ledger.opened {
        return Err(Rejection::StaleEpoch {
            epoch: ledger.epoch.0,
            opened: ledger.opened.0,
        });
    }
    Ok(vec![Event::EpochStarted { leader }])
}

fn submit(
    ledger: &Ledger,
    policy: &Policy,
    submission: Box<Submission>,
    now: Timestamp,
) -> Result<Vec<Event>, Rejection> {
    // A repeat is answered whatever the quotas say by now: its task exists.
    if let Some(task) = ledger.find_request(&submission.tenant, &submission.request_id) {
        return Err(match task.content_digest == submission.content_digest {
            true => Rejection::Duplicate(task.id),
            false => Rejection::RequestIdReused(task.id),
        });
    }
    submission.check().map_err(Rejection::Invalid)?;
    if ledger.task(&submission.id).is_some() {
        let error = ApiError::field("id", format!("task {} exists, under another request id", submission.id));
        return Err(Rejection::Invalid(error));
    }
    // No DEADLINE_EXCEEDED, which would invite to try again.
    if submission.spec.deadline.is_some_and(|deadline| deadline <= now) {
        let error = ApiError::field("deadline", "has passed already; no task can meet it");
        return Err(Rejection::Invalid(error));
    }
    if submission.retry_of.is_some() {
        needs(ledger, HISTORY_FORMAT)?;
    }
    admit(&ledger.usage(&submission.tenant), &policy.limits).map_err(Rejection::QuotaExceeded)?;
    Ok(vec![Event::Submitted(submission)])
}

fn start(ledger: &Ledger, attempt: AttemptId, worker: InstanceId) -> Result<Vec<Event>, Rejection> {
    let task = find(ledger, attempt.task)?;
    if task.state.is_final() {
        return Err(Rejection::TaskEnded {
            task: task.id,
            state: task.state,
        });
    }
    check_number(attempt)?;
    if task.state != State::Pending || attempt.number <= task.attempts {
        return Err(stale(task, attempt, worker));
    }
    Ok(vec![Event::Started { attempt, worker }])
}

fn succeed(ledger: &Ledger, attempt: AttemptId, worker: InstanceId, output: Payload) -> Result<Vec<Event>, Rejection> {
    let task = find(ledger, attempt.task)?;
    if task.state.is_final() {
        return Err(Rejection::Superseded {
            task: task.id,
            state: task.state,
            version: task.version,
        });
    }
    check_number(attempt)?;
    // Nothing can have started it yet.
    if task.state == State::Blocked {
        return Err(stale(task, attempt, worker));
    }
    output.check("output").map_err(Rejection::Invalid)?;
    Ok(vec![Event::Succeeded {
        attempt,
        worker,
        output,
    }])
}

fn purge(ledger: &Ledger, id: TaskId, now: Timestamp) -> Result<Vec<Event>, Rejection> {
    let task = find(ledger, id)?;
    let Some(ended) = task.ended else {
        return Err(Rejection::TaskNotEnded {
            task: id,
            state: task.state,
        });
    };
    let left = ended.plus(Policy::RETENTION_MIN).since(now);
    match left.is_zero() {
        true => Ok(vec![Event::Purged { task: id }]),
        false => Err(Rejection::Retained { task: id, left }),
    }
}

fn set_paused(ledger: &Ledger, tenant: Tenant, kind: Kind, paused: bool) -> Result<Vec<Event>, Rejection> {
    needs(ledger, HISTORY_FORMAT)?;
    check_kind(&kind).map_err(Rejection::Invalid)?;
    if ledger.is_paused(&tenant, &kind) == paused {
        return Ok(Vec::new());
    }
    if paused && ledger.paused().len() >= PAUSED_MAX {
        let error = ApiError::field("kind", format!("{PAUSED_MAX} kinds are paused already, the limit"));
        return Err(Rejection::Invalid(error));
    }
    Ok(vec![match paused {
        true => Event::KindPaused { tenant, kind },
        false => Event::KindResumed { tenant, kind },
    }])
}

fn needs(ledger: &Ledger, needed: u32) -> Result<(), Rejection> {
    match ledger.format < needed {
        true => Err(Rejection::FormatInactive {
            active: ledger.format,
            needed,
        }),
        false => Ok(()),
    }
}

fn cancel(ledger: &Ledger, id: TaskId, message: &str) -> Result<Vec<Event>, Rejection> {
    let task = find(ledger, id)?;
    if task.state == State::Cancelled {
        return Ok(Vec::new());
    }
    if task.state.is_final() {
        return Err(Rejection::TaskEnded {
            task: id,
            state: task.state,
        });
    }
    let message = head(message, TaskError::MESSAGE_BYTES_MAX).to_owned();
    Ok(vec![Event::Cancelled { task: id, message }])
}

fn tick(ledger: &Ledger, policy: &Policy, now: Timestamp) -> Vec<Event> {
    let expired = ledger.index.overdue(now).map(|task| Event::Expired { task });
    let old = |(ended, _): &(Timestamp, TaskId)| ended.plus(policy.retention()) <= now;
    let purged = ledger
        .index
        .ended()
        .take_while(old)
        .map(|(_, task)| Event::Purged { task });
    expired.chain(purged).take(TICK_EVENTS_MAX).collect()
}

fn activate_format(ledger: &Ledger, format: u32) -> Result<Vec<Event>, Rejection> {
    if format == ledger.format {
        return Ok(Vec::new());
    }
    if format < ledger.format || format > FORMAT_MAX {
        let message = format!("format {format} is not in {}..={FORMAT_MAX}", ledger.format);
        return Err(Rejection::Invalid(ApiError::new(Reason::FormatUnsupported, message)));
    }
    Ok(vec![Event::FormatActivated { format }])
}

fn find(ledger: &Ledger, id: TaskId) -> Result<&Task, Rejection> {
    ledger.task(&id).map(AsRef::as_ref).ok_or(Rejection::TaskNotFound(id))
}

/// Task of an attempt, if that attempt of that worker is the current one.
fn current<'a>(ledger: &'a Ledger, attempt: AttemptId, worker: &InstanceId) -> Result<&'a Task, Rejection> {
    let task = find(ledger, attempt.task)?;
    let runs = task
        .attempt
        .as_ref()
        .is_some_and(|now| now.number == attempt.number && now.worker == *worker);
    match task.state == State::Running && runs {
        true => Ok(task),
        false => Err(stale(task, attempt, worker.clone())),
    }
}

fn check_number(attempt: AttemptId) -> Result<(), Rejection> {
    if (1..=ATTEMPT_NUMBER_MAX).contains(&attempt.number) {
        return Ok(());
    }
    let rule = format!("{} is not in 1..={ATTEMPT_NUMBER_MAX}", attempt.number);
    Err(Rejection::Invalid(ApiError::field("attempt.number", rule)))
}

fn stale(task: &Task, attempt: AttemptId, worker: InstanceId) -> Rejection {
    Rejection::StaleAttempt {
        attempt,
        worker,
        state: task.state,
        attempts: task.attempts,
    }
}
