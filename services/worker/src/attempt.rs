//! One attempt at a task, from its assignment to its outcome.
//!
//! Promises: it ends in time, whatever its kind does: by its timeout, its task's deadline or a stop, each of which
//! reaches the running code; a panic is a failure and nothing more. Leaves reporting to `slots`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use lepton_core::blob::Blobs;
use lepton_core::clock::Clock;
use lepton_core::random::Random;
use lepton_domain::ids::{AttemptId, Tenant};
use lepton_domain::reason::{Fault, Reason};
use lepton_domain::task::{Content, Payload};
use lepton_proto::convert::task::trace_id;
use lepton_proto::worker::v1 as wire;
use lepton_telemetry::trace::{self, TraceContext};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::kind::{Failure, Input, Kinds, Output};
use crate::memory::{Held, Memory};
use crate::model::contain::said;
use crate::progress::Progress;
use crate::stats::{Done, Stats};
use crate::stopwatch::Stopwatch;

#[cfg(test)]
mod tests;

/// How long an expired attempt waits for the leader to say so before it reports by itself.
const EXPIRY_GRACE: Duration = Duration::from_secs(5);
/// The first and the longest pause between two tries at an unreachable blob store.
const BLOB_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What the leader hands out.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The attempt.
    pub attempt: AttemptId,
    /// What runs it.
    pub kind: String,
    /// What it is given.
    pub input: Payload,
    /// How long it may run, without the time that it waits for others; absent: the worker's limit.
    pub timeout: Option<Duration>,
    /// Time until its task's deadline.
    pub deadline_in: Option<Duration>,
    /// The submitter's trace context; empty for none.
    pub traceparent: String,
    /// Who submitted it.
    pub tenant: Tenant,
}

impl TryFrom<wire::Assign> for Assignment {
    type Error = Fault;

    fn try_from(assign: wire::Assign) -> Result<Self, Fault> {
        let given = |micros: u64| Some(Duration::from_micros(micros)).filter(|duration| !duration.is_zero());
        let attempt = assign.attempt.ok_or_else(|| Fault::field("attempt", "missing"))?;
        let input = assign.input.ok_or_else(|| Fault::field("input", "missing"))?;
        Ok(Self {
            attempt: AttemptId::try_from(&attempt)?,
            kind: assign.kind,
            input: input.try_into()?,
            timeout: given(assign.timeout_us),
            deadline_in: given(assign.deadline_in_us),
            traceparent: assign.traceparent,
            tenant: assign.tenant.into(),
        })
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// With an output.
    Output(Payload),
    /// With a failure.
    Failure(Failure),
    /// It was told to stop: nobody wants to hear more.
    Stopped,
}

/// Runs attempts. Clones share slots, kinds and figures.
#[derive(Clone)]
pub struct Runner {
    /// What can be run.
    pub kinds: Kinds,
    /// Where large payloads lie.
    pub blobs: Blobs,
    /// One permit a slot.
    pub slots: Arc<Semaphore>,
    /// What fetched payloads take.
    pub memory: Memory,
    /// How long an attempt may run that does not say it, without the time that it waits for others.
    pub timeout: Duration,
    /// What is told of it.
    pub stats: Stats,
    /// Measures how long it took.
    pub clock: Clock,
}

impl Runner {
    /// Runs an attempt to its end.
    pub async fn run(self, assignment: Assignment, progress: Progress, stop: CancellationToken) -> Outcome {
        let span = span(&assignment);
        let deadline_in = assignment.deadline_in;
        let ended = async {
            tokio::select! {
                biased;
                () = stop.cancelled() => Outcome::Stopped,
                () = passed(deadline_in) => expired(&stop).await,
                outcome = self.in_slot(&assignment, progress) => outcome,
            }
        };
        let outcome = ended.instrument(span.clone()).await;
        span.in_scope(|| tell(&assignment, &outcome));
        outcome
    }

    /// Waits for a slot and runs.
    async fn in_slot(&self, assignment: &Assignment, progress: Progress) -> Outcome {
        let waiting = self.stats.waits();
        let Ok(_slot) = self.slots.acquire().await else {
            return Outcome::Stopped;
        };
        let running = waiting.runs(self.clock);
        let limit = assignment.timeout.unwrap_or(self.timeout);
        // Dropped with this future, whoever drops it: that is what reaches the running code.
        let cancel = CancellationToken::new();
        let _cancels_when_dropped = cancel.clone().drop_guard();
        let stopwatch = Stopwatch::default();
        let work = AssertUnwindSafe(self.work(assignment, progress, cancel, &stopwatch)).catch_unwind();
        let outcome = tokio::select! {
            biased;
            ended = work => match ended {
                Ok(Ok(output)) => Outcome::Output(output),
                Ok(Err(failure)) => Outcome::Failure(failure),
                Err(panic) => Outcome::Failure(panicked(&*panic)),
            },
            () = stopwatch.passed(limit, self.clock) => {
                Outcome::Failure(Failure::passing(Reason::Timeout, format!("it ran longer than {limit:?}")))
            }
        };
        let done = if matches!(outcome, Outcome::Output(_)) {
            Done::Well
        } else {
            Done::Badly
        };
        running.ended(&assignment.kind, done);
        outcome
    }

    async fn work(
        &self,
        assignment: &Assignment,
        progress: Progress,
        cancel: CancellationToken,
        stopwatch: &Stopwatch,
    ) -> Result<Payload, Failure> {
        let kind = self.kinds.find(&assignment.kind)?;
        let _held = self.room_for(&assignment.input, stopwatch).await;
        let input = Input {
            attempt: assignment.attempt,
            tenant: assignment.tenant.clone(),
            encoding: assignment.input.encoding,
            content: self.fetch(assignment).await?,
            trace_id: trace_id(&assignment.traceparent).unwrap_or_default().to_owned(),
            progress,
            stopwatch: stopwatch.clone(),
        };
        let output = kind.run(input, cancel).await?;
        self.store(assignment.attempt, output).await
    }

    /// Waits until there is memory for a payload that has to be fetched. More attempts run than could hold the largest.
    async fn room_for(&self, input: &Payload, stopwatch: &Stopwatch) -> Option<Held> {
        match input.content {
            Content::Inline(_) => None,
            Content::Blob { size, .. } => Some(self.memory.take(size, stopwatch).await),
        }
    }

    async fn fetch(&self, assignment: &Assignment) -> Result<Bytes, Failure> {
        match &assignment.input.content {
            Content::Inline(content) => Ok(content.clone()),
            Content::Blob { digest, .. } => {
                let get = || self.blobs.get(assignment.attempt.task, *digest);
                Ok(patiently(get).await?)
            }
        }
    }

    /// What is large must be durable before anybody hears of it.
    async fn store(&self, attempt: AttemptId, output: Output) -> Result<Payload, Failure> {
        let Output { encoding, content } = output;
        if content.len() <= Payload::INLINE_BYTES_MAX {
            return Ok(Payload {
                encoding,
                content: Content::Inline(content),
            });
        }
        let size = content.len() as u64;
        let digest = patiently(|| self.blobs.put(attempt.task, content.clone())).await?;
        Ok(Payload {
            encoding,
            content: Content::Blob { digest, size },
        })
    }
}

/// Tries until the blob store is back: work that is done is worth waiting for, and the timeout bounds it.
async fn patiently<T, F: Future<Output = Result<T, Fault>>>(mut call: impl FnMut() -> F) -> Result<T, Fault> {
    let (mut pause, longest) = BLOB_PAUSE;
    loop {
        match call().await {
            Err(fault) if fault.reason == Reason::BlobUnavailable => {
                tracing::warn!(%fault, "the blob store cannot be reached; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
            done => return done,
        }
    }
}

async fn passed(deadline_in: Option<Duration>) {
    match deadline_in {
        Some(remaining) => tokio::time::sleep(remaining).await,
        None => std::future::pending().await,
    }
}

/// The task's deadline has passed. It is for the leader to say so; only if it does not, the worker does.
async fn expired(stop: &CancellationToken) -> Outcome {
    match timeout(EXPIRY_GRACE, stop.cancelled()).await {
        Ok(()) => Outcome::Stopped,
        Err(_) => Outcome::Failure(Failure::lasting(Reason::DeadlineExceeded, "the task's deadline passed")),
    }
}

/// The failure of an attempt that panicked.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    Failure::passing(Reason::HandlerFailed, format!("the handler panicked: {}", said(panic)))
}

/// A span in the submitter's trace, which also links to the attempt before.
fn span(assignment: &Assignment) -> Span {
    let Assignment {
        attempt,
        kind,
        traceparent,
        tenant,
        ..
    } = assignment;
    let span = tracing::info_span!(
        "attempt",
        traceparent = traceparent.as_str(),
        otel.name = format!("process {kind}"),
        otel.kind = "consumer",
        otel.status_code = tracing::field::Empty,
        otel.status_description = tracing::field::Empty,
        messaging.system = "lepton",
        messaging.operation.name = "process",
        messaging.operation.r#type = "process",
        error.r#type = tracing::field::Empty,
        messaging.destination.name = kind.as_str(),
        messaging.message.id = %attempt.task,
        lepton.attempt = attempt.number,
        lepton.tenant = %tenant,
    );
    trace::identify(&span, span_id(*attempt));
    if let Some(before) = before(assignment) {
        trace::link(&span, &before.to_string());
    }
    span
}

/// The span of an attempt, the same for whoever works it out: so a retry can link to the attempt before wherever that
/// ran, also where it was lost with its worker and nobody heard its end.
fn span_id(attempt: AttemptId) -> u64 {
    let task = attempt.task.as_u128();
    // The lower half of a task's id is random; the number makes it the attempt's.
    let seed = (task as u64) ^ ((task >> 64) as u64).rotate_left(32) ^ (u64::from(attempt.number) << 32);
    Random::seeded(seed).next_u64().max(1)
}

/// The trace context of the attempt before.
fn before(assignment: &Assignment) -> Option<TraceContext> {
    let AttemptId { task, number } = assignment.attempt;
    let earlier = AttemptId {
        task,
        number: number.checked_sub(1).filter(|number| *number > 0)?,
    };
    TraceContext::parse(&assignment.traceparent)?.with_span(span_id(earlier))
}

/// Notes the end in the span and, where something failed, in the log.
fn tell(assignment: &Assignment, outcome: &Outcome) {
    let Outcome::Failure(Failure { error, retryable }) = outcome else {
        return;
    };
    let span = Span::current();
    span.record("otel.status_code", "error");
    span.record("error.type", error.reason.as_str());
    span.record(
        "otel.status_description",
        format!("{}: {}", error.reason, error.message),
    );
    let (attempt, kind) = (assignment.attempt, &assignment.kind);
    tracing::info!(%attempt, kind, reason = error.reason, retryable, "attempt failed: {}", error.message);
}
