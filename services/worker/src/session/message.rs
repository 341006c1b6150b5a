//! What is said in a session, to and from the wire.
//!
//! Promises: what a leader says is checked; what cannot be read ends the session. Leaves acting on it to the parent.

use lepton_domain::ids::AttemptId;
use lepton_domain::reason::Fault;
use lepton_proto::journal::v1::{Attempt, Mark};
use lepton_proto::worker::v1 as wire;
use lepton_proto::worker::v1::open_session_request::Message as Out;
use lepton_proto::worker::v1::open_session_response::Message as In;

use super::Identity;
use crate::attempt::{Assignment, Outcome};
use crate::kind::Failure;
use crate::slots::Held;

/// What a leader says after its welcome.
#[derive(Debug)]
pub(super) enum Heard {
    /// Run this.
    Assign(Box<Assignment>),
    /// Stop this.
    Stop(AttemptId),
    /// This report was taken.
    Settled(AttemptId),
    /// How far the leader is.
    Mark(Mark),
    /// A second welcome, which makes no sense.
    Welcome,
}

/// Reads a message.
pub(super) fn read(message: In) -> Result<Heard, Fault> {
    Ok(match message {
        In::Welcome(_) => Heard::Welcome,
        In::Assign(assign) => Heard::Assign(Box::new(assign.try_into()?)),
        In::Stop(stop) => Heard::Stop(attempt(stop.attempt)?),
        In::Settled(settled) => Heard::Settled(attempt(settled.attempt)?),
        In::Heartbeat(beat) => Heard::Mark(beat.mark.unwrap_or_default()),
    })
}

fn attempt(named: Option<Attempt>) -> Result<AttemptId, Fault> {
    let named = named.ok_or_else(|| Fault::field("attempt", "missing"))?;
    Ok(AttemptId::try_from(&named)?)
}

/// Who the worker is and what it holds.
pub(super) fn hello(identity: &Identity, held: Held, mark: &Mark) -> wire::OpenSessionRequest {
    outgoing(Out::Hello(wire::Hello {
        worker: identity.instance.to_string(),
        slots: identity.slots,
        kinds: identity.kinds.clone(),
        labels: identity.labels.clone(),
        running: held.all,
        ended: held.ended,
        // Nothing seen yet is told as nothing, not as a mark at zero.
        mark: Some(mark.clone()).filter(|mark| !mark.incarnation.is_empty()),
    }))
}

/// It is alive.
pub(super) fn heartbeat(running: u32) -> wire::OpenSessionRequest {
    outgoing(Out::Heartbeat(wire::Heartbeat { running }))
}

/// How far an attempt is.
pub fn progress(progress: wire::AttemptProgress) -> wire::OpenSessionRequest {
    outgoing(Out::Progress(progress))
}

/// It takes nothing new.
pub(super) fn draining() -> wire::OpenSessionRequest {
    outgoing(Out::Draining(wire::Draining {}))
}

/// An attempt ended. One that was stopped has no report; it is told as one that was cancelled.
pub fn report(attempt: AttemptId, outcome: Outcome) -> wire::OpenSessionRequest {
    let (outcome, retryable) = match outcome {
        Outcome::Output(output) => (Some(wire::report::Outcome::Output((&output).into())), false),
        Outcome::Failure(Failure { error, retryable }) => {
            (Some(wire::report::Outcome::Failure((&error).into())), retryable)
        }
        Outcome::Stopped => (None, false),
    };
    outgoing(Out::Report(wire::Report {
        attempt: Some(attempt.into()),
        outcome,
        retryable,
    }))
}

fn outgoing(message: Out) -> wire::OpenSessionRequest {
    wire::OpenSessionRequest { message: Some(message) }
}
