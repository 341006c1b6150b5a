//! Messages of a worker's session with the leader, in both directions.
//!
//! Promises: a message that lacks a field, or whose field stands for nothing, is an error that names the field. Leaves
//! the order of the messages to the session.

use std::time::Duration;

use lepton_domain::ids::{AttemptId, Tenant};
use lepton_domain::task::{Payload, TaskError};
use lepton_domain::time::Timestamp;

use super::time::timestamp;
use super::{ConvertError, required};
use crate::journal::v1::{Attempt, DrainedWorker, Mark};
use crate::task::v1 as task;
use crate::worker::v1 as wire;
use crate::worker::v1::open_session_request::Message as Request;
use crate::worker::v1::open_session_response::Message as Response;

#[cfg(test)]
mod tests;

/// An attempt that the leader hands out.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The attempt.
    pub attempt: AttemptId,
    /// Kind of the task.
    pub kind: String,
    /// Input of the task.
    pub input: Payload,
    /// Longest run, time spent waiting for others left out; absent: the worker's own limit.
    pub timeout: Option<Duration>,
    /// Time until the task's deadline.
    pub deadline_in: Option<Duration>,
    /// The submitter's W3C trace context; empty for none.
    pub traceparent: String,
    /// Tenant that submitted the task.
    pub tenant: Tenant,
    /// Last checkpoint of the attempts before.
    pub checkpoint: Option<Payload>,
}

impl TryFrom<wire::Assign> for Assignment {
    type Error = ConvertError;

    fn try_from(assign: wire::Assign) -> Result<Self, ConvertError> {
        let nonzero = |micros: u64| Some(Duration::from_micros(micros)).filter(|duration| !duration.is_zero());
        Ok(Self {
            attempt: attempt_id(assign.attempt)?,
            kind: assign.kind,
            input: required("input", assign.input)?.try_into()?,
            timeout: nonzero(assign.timeout_us),
            deadline_in: nonzero(assign.deadline_in_us),
            traceparent: assign.traceparent,
            tenant: assign.tenant.into(),
            checkpoint: assign.checkpoint.map(TryInto::try_into).transpose()?,
        })
    }
}

/// A message of the leader.
#[derive(Debug)]
pub enum LeaderMessage {
    /// Start of the session.
    Welcome(wire::Welcome),
    /// A new attempt.
    Assign(Box<Assignment>),
    /// An attempt to stop, without a report.
    Stop(AttemptId),
    /// An attempt whose report has been committed.
    Settled(AttemptId),
    /// The leader's position in the journal, sent with every heartbeat.
    Mark(Mark),
}

impl TryFrom<Response> for LeaderMessage {
    type Error = ConvertError;

    fn try_from(message: Response) -> Result<Self, ConvertError> {
        Ok(match message {
            Response::Welcome(welcome) => Self::Welcome(welcome),
            Response::Assign(assign) => Self::Assign(Box::new(assign.try_into()?)),
            Response::Stop(stop) => Self::Stop(attempt_id(stop.attempt)?),
            Response::Settled(settled) => Self::Settled(attempt_id(settled.attempt)?),
            Response::Heartbeat(heartbeat) => Self::Mark(heartbeat.mark.unwrap_or_default()),
        })
    }
}

fn attempt_id(attempt: Option<Attempt>) -> Result<AttemptId, ConvertError> {
    AttemptId::try_from(&required("attempt", attempt)?)
}

/// Attempts that a worker holds, as it declares them to a new leader.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HeldAttempts {
    /// Attempts that run, or whose reports are not settled.
    pub all: Vec<Attempt>,
    /// Those among [`HeldAttempts::all`] that have ended.
    pub ended: Vec<Attempt>,
}

/// Opens a session; `hello` is complete but for the attempts and the mark. A mark of no incarnation is left out: a worker
/// that has seen nothing must not claim a position of zero.
pub fn hello(hello: wire::Hello, held: HeldAttempts, mark: &Mark) -> wire::OpenSessionRequest {
    request(Request::Hello(wire::Hello {
        running: held.all,
        ended: held.ended,
        mark: Some(mark.clone()).filter(|mark| !mark.incarnation.is_empty()),
        ..hello
    }))
}

/// A sign of life with the number of running attempts and calls.
pub fn heartbeat(running: u32) -> wire::OpenSessionRequest {
    request(Request::Heartbeat(wire::Heartbeat { running }))
}

/// Announces that the worker takes nothing new.
pub fn draining() -> wire::OpenSessionRequest {
    request(Request::Draining(wire::Draining {}))
}

/// Progress of a running attempt: a share of 0 to 1, named figures, and the last checkpoint.
pub fn progress<'a>(
    attempt: AttemptId,
    fraction: f64,
    figures: impl IntoIterator<Item = (&'a str, f64)>,
    at: Timestamp,
    checkpoint: Option<&Payload>,
) -> wire::OpenSessionRequest {
    let figures = figures.into_iter().map(|(name, value)| (name.to_owned(), value));
    request(Request::Progress(wire::AttemptProgress {
        attempt: Some(attempt.into()),
        progress: Some(task::Progress {
            attempt: attempt.number,
            fraction,
            figures: figures.collect(),
            update_time: Some(timestamp(at)),
        }),
        checkpoint: checkpoint.map(Into::into),
    }))
}

/// Report of an attempt that a draining worker hands back.
pub fn returned(attempt: AttemptId) -> wire::OpenSessionRequest {
    request(Request::Report(wire::Report {
        attempt: Some(attempt.into()),
        outcome: Some(wire::report::Outcome::Returned(DrainedWorker {})),
        retryable: true,
    }))
}

/// Report of an attempt that ended; without a result for one that was stopped. `retryable` is whether another attempt may
/// fare better.
pub fn report(
    attempt: AttemptId,
    result: Option<Result<&Payload, &TaskError>>,
    retryable: bool,
) -> wire::OpenSessionRequest {
    let outcome = result.map(|result| match result {
        Ok(output) => wire::report::Outcome::Output(output.into()),
        Err(error) => wire::report::Outcome::Failure(error.into()),
    });
    request(Request::Report(wire::Report {
        attempt: Some(attempt.into()),
        outcome,
        retryable,
    }))
}

fn request(message: Request) -> wire::OpenSessionRequest {
    wire::OpenSessionRequest { message: Some(message) }
}
