//! Messages of a session on the wire.
//!
//! Promises: nothing of unbounded size or without meaning gets past it.

use std::time::Duration;

use lepton_domain::ids::{AttemptId, InstanceId, Kind};
use lepton_domain::ledger::Rejection;
use lepton_domain::task::{Payload, Task, TaskError};
use lepton_proto::journal::v1 as journal;
use lepton_proto::journal::v1::Mark;
use lepton_proto::task::v1::Progress;
use lepton_proto::worker::v1 as proto;
use lepton_proto::worker::v1::open_session_request::Message as In;
use lepton_proto::worker::v1::open_session_response::Message as Out;

use crate::error::CallError;
use crate::message::{AttemptOutcome, SessionEvent, SessionHello, WorkerCommand};

#[cfg(test)]
mod tests;

/// Slots that a worker may declare.
const SLOTS_MAX: u32 = 4_096;
/// Bytes of a name in `hello`.
const NAME_BYTES_MAX: usize = 256;
/// Names of each sort in `hello`.
const NAMES_MAX: usize = 256;
/// Figures kept of one attempt's progress.
const FIGURES_MAX: usize = 16;
/// Bytes of a figure's name.
const FIGURE_NAME_BYTES_MAX: usize = 64;

impl From<WorkerCommand> for proto::OpenSessionResponse {
    fn from(command: WorkerCommand) -> Self {
        let message = match command {
            WorkerCommand::Welcome { epoch, mark } => Out::Welcome(proto::Welcome {
                epoch: epoch.0,
                mark: Some(mark),
            }),
            WorkerCommand::Heartbeat { mark } => Out::Heartbeat(proto::LeaderHeartbeat { mark: Some(mark) }),
            WorkerCommand::Assign {
                task,
                attempt,
                deadline_in,
            } => Out::Assign(assign(&task, attempt, deadline_in)),
            WorkerCommand::Stop(attempt) => Out::Stop(proto::Stop {
                attempt: Some(attempt.into()),
            }),
            WorkerCommand::Settled { attempt, refused } => Out::Settled(proto::Settled {
                attempt: Some(attempt.into()),
                accepted: refused.is_none(),
                reason: refused.map_or_else(String::new, |reason| reason.as_str().to_owned()),
            }),
        };
        Self { message: Some(message) }
    }
}

fn assign(task: &Task, attempt: AttemptId, deadline_in: Option<Duration>) -> proto::Assign {
    let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    proto::Assign {
        attempt: Some(attempt.into()),
        kind: task.spec.kind.to_string(),
        input: Some((&task.spec.input).into()),
        timeout_us: task.spec.timeout.map_or(0, micros),
        traceparent: task.traceparent.as_deref().unwrap_or_default().to_owned(),
        tenant: task.tenant.to_string(),
        // A deadline that is due right now must not read as none.
        deadline_in_us: deadline_in.map_or(0, |left| micros(left).max(1)),
        checkpoint: task.checkpoint().map(Into::into),
    }
}

/// Reads and checks the first message of a session; see [`SessionHello`].
pub(super) fn read_hello(hello: proto::Hello) -> Result<(SessionHello, Option<Mark>), CallError> {
    if hello.slots == 0 || hello.slots > SLOTS_MAX {
        return Err(CallError::Invalid {
            field: "slots",
            problem: format!("{} slots, 1 to {SLOTS_MAX} are taken", hello.slots),
        });
    }
    check_names(&hello)?;
    let (running, ended) = (attempts(&hello.running)?, attempts(&hello.ended)?);
    let mark = hello.mark;
    let hello = SessionHello {
        worker: InstanceId::new(hello.worker),
        slots: hello.slots,
        kinds: hello.kinds.into_iter().map(Kind::new).collect(),
        labels: hello.labels,
        running,
        ended,
    };
    Ok((hello, mark))
}

/// Checks the lengths of names: they go into the journal with every attempt, and are compared with every task.
fn check_names(hello: &proto::Hello) -> Result<(), CallError> {
    let fits = |name: &String| name.len() <= NAME_BYTES_MAX;
    let checks = [
        ("worker", !hello.worker.is_empty() && fits(&hello.worker)),
        ("kinds", hello.kinds.len() <= NAMES_MAX && hello.kinds.iter().all(fits)),
        (
            "labels",
            hello.labels.len() <= NAMES_MAX && hello.labels.iter().all(|(name, value)| fits(name) && fits(value)),
        ),
    ];
    match checks.into_iter().find(|(_, fits)| !fits) {
        Some((field, _)) => Err(CallError::Invalid {
            field,
            problem: format!("at most {NAMES_MAX} names of at most {NAME_BYTES_MAX} bytes each, and a worker has one"),
        }),
        None => Ok(()),
    }
}

fn attempts(declared: &[journal::Attempt]) -> Result<Vec<AttemptId>, CallError> {
    let read = declared.iter().map(AttemptId::try_from);
    Ok(read.collect::<Result<_, _>>()?)
}

/// Reads a message after the first as a [`SessionEvent`].
pub(super) fn read_event(message: In) -> Result<SessionEvent, CallError> {
    match message {
        In::Hello(_) => Err(CallError::HelloRepeated),
        In::Heartbeat(_) => Ok(SessionEvent::Heartbeat),
        In::Progress(progress) => read_progress(progress),
        In::Draining(_) => Ok(SessionEvent::Draining),
        In::Report(report) => read_report(report),
    }
}

/// Reads progress. What cannot be shown counts as a [heartbeat](SessionEvent::Heartbeat).
fn read_progress(progress: proto::AttemptProgress) -> Result<SessionEvent, CallError> {
    let attempt = read_attempt(progress.attempt.as_ref())?;
    let checkpoint: Option<Payload> = progress.checkpoint.map(TryInto::try_into).transpose()?;
    if let Some(checkpoint) = &checkpoint {
        checkpoint.check("checkpoint").map_err(Rejection::Invalid)?;
    }
    let progress = progress.progress.filter(|progress| progress.attempt == attempt.number);
    Ok(match progress.and_then(bounded) {
        Some(progress) => SessionEvent::Progress {
            attempt,
            progress,
            checkpoint,
        },
        None => SessionEvent::Heartbeat,
    })
}

/// Keeps numbers that mean something, in a bounded space; `None` where nothing is left.
fn bounded(mut progress: Progress) -> Option<Progress> {
    if !progress.fraction.is_finite() {
        return None;
    }
    progress.fraction = progress.fraction.clamp(0.0, 1.0);
    let figures = std::mem::take(&mut progress.figures).into_iter();
    let fit =
        figures.filter(|(name, value)| value.is_finite() && !name.is_empty() && name.len() <= FIGURE_NAME_BYTES_MAX);
    progress.figures = fit.take(FIGURES_MAX).collect();
    Some(progress)
}

fn read_report(report: proto::Report) -> Result<SessionEvent, CallError> {
    let attempt = read_attempt(report.attempt.as_ref())?;
    let outcome = match report.outcome {
        Some(proto::report::Outcome::Output(output)) => AttemptOutcome::Output(output.try_into()?),
        Some(proto::report::Outcome::Failure(failure)) => AttemptOutcome::Failure {
            error: TaskError::try_from(failure)?.shortened(),
            retryable: report.retryable,
        },
        Some(proto::report::Outcome::Returned(_)) => AttemptOutcome::Returned,
        None => return Err(CallError::missing("outcome")),
    };
    Ok(SessionEvent::Reported { attempt, outcome })
}

fn read_attempt(attempt: Option<&journal::Attempt>) -> Result<AttemptId, CallError> {
    let attempt = attempt.ok_or_else(|| CallError::missing("attempt"))?;
    Ok(attempt.try_into()?)
}
