//! One attempt at a task, from its assignment to its outcome.
//!
//! Promises: it ends in time, whatever its kind does: by its timeout, its task's deadline or a stop, each of which
//! reaches the running code; a panic is a failure and nothing more. Leaves reporting to `slots`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use lepton_domain::ids::{AttemptId, Tenant};
use lepton_domain::reason::{Fault, Reason};
use lepton_domain::task::{Content, Payload};
use lepton_mesh::blob::Blobs;
use lepton_mesh::clock::Clock;
use lepton_mesh::telemetry::trace;
use lepton_proto::convert::task::trace_id;
use lepton_proto::worker::v1 as wire;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::kind::{Failure, Input, Kinds, Output};
use crate::progress::Progress;
use crate::stats::{Done, Stats};

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
    /// How long it may run; absent: the worker's limit.
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
    /// How long an attempt may run that does not say it.
    pub timeout: Duration,
    /// What is told of it.
    pub stats: Stats,
    /// Measures how long it took.
    pub clock: Clock,
}

impl Runner {
    /// Runs an attempt to its end; gives its trace context too. `before` is that of the attempt before it, if known.
    pub async fn run(
        self,
        assignment: Assignment,
        before: Option<String>,
        progress: Progress,
        stop: CancellationToken,
    ) -> (Outcome, Option<String>) {
        let span = span(&assignment, before.as_deref());
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
        let trace = span.in_scope(|| {
            tell(&assignment, &outcome);
            trace::traceparent()
        });
        (outcome, trace)
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
        let work = AssertUnwindSafe(self.work(assignment, progress, cancel)).catch_unwind();
        let outcome = match timeout(limit, work).await {
            Ok(Ok(Ok(output))) => Outcome::Output(output),
            Ok(Ok(Err(failure))) => Outcome::Failure(failure),
            Ok(Err(panic)) => Outcome::Failure(panicked(&*panic)),
            Err(_) => Outcome::Failure(Failure::passing(
                Reason::Timeout,
                format!("it ran longer than {limit:?}"),
            )),
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
    ) -> Result<Payload, Failure> {
        let kind = self.kinds.find(&assignment.kind)?;
        let input = Input {
            attempt: assignment.attempt,
            tenant: assignment.tenant.clone(),
            encoding: assignment.input.encoding,
            content: self.fetch(assignment).await?,
            trace_id: trace_id(&assignment.traceparent).unwrap_or_default().to_owned(),
            progress,
        };
        let output = kind.run(input, cancel).await?;
        self.store(assignment.attempt, output).await
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

fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    let said = panic.downcast_ref::<&str>().copied();
    let said = said
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message");
    Failure::passing(Reason::HandlerFailed, format!("the handler panicked: {said}"))
}

/// A span in the submitter's trace, which also links to the attempt before.
fn span(assignment: &Assignment, before: Option<&str>) -> Span {
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
        messaging.operation.r#type = "process",
        messaging.destination.name = kind.as_str(),
        messaging.message.id = %attempt.task,
        lepton.attempt = attempt.number,
        lepton.tenant = %tenant,
    );
    if let Some(before) = before {
        trace::link(&span, before);
    }
    span
}

/// Notes the end in the span and, where something failed, in the log.
fn tell(assignment: &Assignment, outcome: &Outcome) {
    let Outcome::Failure(Failure { error, retryable }) = outcome else {
        return;
    };
    let span = Span::current();
    span.record("otel.status_code", "error");
    span.record(
        "otel.status_description",
        format!("{}: {}", error.reason, error.message),
    );
    let (attempt, kind) = (assignment.attempt, &assignment.kind);
    tracing::info!(%attempt, kind, reason = error.reason, retryable, "attempt failed: {}", error.message);
}
