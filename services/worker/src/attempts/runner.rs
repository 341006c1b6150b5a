//! One attempt at a task, from its assignment to its outcome.
//!
//! Promises: it ends in time, whatever its kind does: by its timeout, its task's deadline or a stop, each of which
//! reaches the running code; a panic is a failure and nothing more. Leaves reporting to the parent.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use lepton_core::backoff::Backoff;
use lepton_core::blob::Blobs;
use lepton_core::clock::Clock;
use lepton_core::random::Random;
use lepton_domain::ids::AttemptId;
use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::task::{Content, Payload};
use lepton_mesh::memory_budget::{MemoryBudget, Reservation};
use lepton_proto::convert::task::trace_id;
use lepton_proto::convert::worker_session::{self, Assignment};
use lepton_proto::worker::v1::OpenSessionRequest;
use lepton_telemetry::trace::{Head, TraceContext};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::active_time::ActiveTimer;
use crate::error::Error;
use crate::kind::{Failure, Input, Output};
use crate::kinds::Kinds;
use crate::panics::panic_message;
use crate::progress::Progress;
use crate::stats::{RunOutcome, Stats};

#[cfg(test)]
mod tests;

/// Time for the leader to stop an attempt whose task has expired, before the worker reports it by itself.
const EXPIRY_GRACE: Duration = Duration::from_secs(5);
/// Shortest and longest pause between two tries at an unreachable blob store.
const BLOB_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Outcome of [`AttemptRunner::run`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AttemptOutcome {
    Output(Payload),
    Failure(Failure),
    /// A stop by the leader, which expects no report.
    Stopped,
}

impl AttemptOutcome {
    /// The report to the leader, a [`worker_session::report`].
    pub(super) fn report(&self, attempt: AttemptId) -> OpenSessionRequest {
        match self {
            Self::Output(output) => worker_session::report(attempt, Some(Ok(output)), false),
            Self::Failure(Failure { error, retryable }) => {
                worker_session::report(attempt, Some(Err(error)), *retryable)
            }
            Self::Stopped => worker_session::report(attempt, None, false),
        }
    }
}

/// Runs attempts. Clones share slots, kinds and counters.
#[derive(Clone)]
pub(crate) struct AttemptRunner {
    /// Kinds that can be run.
    pub(crate) kinds: Kinds,
    /// Store of large payloads.
    pub(crate) blobs: Blobs,
    /// One permit a slot.
    pub(crate) slots: Arc<Semaphore>,
    /// Memory of fetched payloads.
    pub(crate) memory: MemoryBudget,
    /// Longest run of an attempt whose task sets none, time spent waiting for others left out.
    pub(crate) timeout: Duration,
    pub(crate) stats: Stats,
    pub(crate) clock: Clock,
}

impl AttemptRunner {
    /// Runs an attempt to its end.
    pub(crate) async fn run(
        self,
        assignment: Assignment,
        progress: Progress,
        stop: CancellationToken,
    ) -> AttemptOutcome {
        let span = span(&assignment);
        let deadline_in = assignment.deadline_in;
        let ended = async {
            tokio::select! {
                biased;
                () = stop.cancelled() => AttemptOutcome::Stopped,
                () = passed(deadline_in) => expired(&stop).await,
                outcome = self.in_slot(&assignment, progress) => outcome,
            }
        };
        let outcome = ended.instrument(span.clone()).await;
        span.in_scope(|| record(&assignment, &outcome));
        outcome
    }

    /// Waits for a slot and runs.
    async fn in_slot(&self, assignment: &Assignment, progress: Progress) -> AttemptOutcome {
        let waiting = self.stats.enqueue();
        let Ok(_slot) = self.slots.acquire().await else {
            return AttemptOutcome::Stopped;
        };
        let running = waiting.start(self.clock);
        let limit = assignment.timeout.unwrap_or(self.timeout);
        // Dropped with this future, whoever drops it: that is what reaches the running code.
        let cancel = CancellationToken::new();
        let _cancels_when_dropped = cancel.clone().drop_guard();
        let timer = ActiveTimer::default();
        let work = AssertUnwindSafe(self.work(assignment, progress, cancel, &timer)).catch_unwind();
        let outcome = tokio::select! {
            biased;
            ended = work => match ended {
                Ok(Ok(output)) => AttemptOutcome::Output(output),
                Ok(Err(failure)) => AttemptOutcome::Failure(failure),
                Err(panic) => AttemptOutcome::Failure(panicked(&*panic)),
            },
            () = timer.elapsed(limit, self.clock) => {
                AttemptOutcome::Failure(Failure::retryable(Reason::Timeout, format!("it ran longer than {limit:?}")))
            }
        };
        let counted = if matches!(outcome, AttemptOutcome::Output(_)) {
            RunOutcome::Success
        } else {
            RunOutcome::Failed
        };
        running.finish(&assignment.kind, counted);
        outcome
    }

    async fn work(
        &self,
        assignment: &Assignment,
        progress: Progress,
        cancel: CancellationToken,
        timer: &ActiveTimer,
    ) -> Result<Payload, Failure> {
        let kind = self.kinds.find(&assignment.kind)?;
        let _reservation = self.reserve(&assignment.input, timer).await;
        let input = Input {
            attempt: assignment.attempt,
            encoding: assignment.input.encoding,
            content: self.fetch(assignment).await?,
            trace_id: trace_id(&assignment.traceparent).unwrap_or_default().to_owned(),
            progress,
            checkpoint: assignment.checkpoint.clone(),
            timer: timer.clone(),
        };
        let output = kind.run(input, cancel).await?;
        self.store(assignment.attempt, output).await
    }

    /// Waits until there is memory for a payload that has to be fetched. More attempts run than could hold the largest.
    async fn reserve(&self, input: &Payload, timer: &ActiveTimer) -> Option<Reservation> {
        match input.content {
            Content::Inline(_) => None,
            Content::Blob { size, .. } => {
                let _pause = timer.pause();
                Some(self.memory.reserve(size).await)
            }
        }
    }

    async fn fetch(&self, assignment: &Assignment) -> Result<Bytes, Failure> {
        match &assignment.input.content {
            Content::Inline(content) => Ok(content.clone()),
            Content::Blob { digest, .. } => {
                let get = || self.blobs.get(assignment.attempt.task, *digest);
                Ok(until_reachable(get).await.map_err(Error::Api)?)
            }
        }
    }

    /// Stores an output. A large one must be durable before it is reported.
    async fn store(&self, attempt: AttemptId, output: Output) -> Result<Payload, Failure> {
        let Output { encoding, content } = output;
        if content.len() <= Payload::INLINE_BYTES_MAX {
            return Ok(Payload {
                encoding,
                content: Content::Inline(content),
            });
        }
        let size = content.len() as u64;
        let put = || self.blobs.put(attempt.task, content.clone());
        let digest = until_reachable(put).await.map_err(Error::Api)?;
        Ok(Payload {
            encoding,
            content: Content::Blob { digest, size },
        })
    }
}

/// Retries until the blob store is back: work that is done is worth waiting for, and the timeout bounds it.
async fn until_reachable<T, F: Future<Output = Result<T, ApiError>>>(
    mut call: impl FnMut() -> F,
) -> Result<T, ApiError> {
    let (shortest, longest) = BLOB_PAUSE;
    let mut backoff = Backoff::new(shortest, longest);
    loop {
        match call().await {
            Err(error) if error.reason == Reason::BlobUnavailable => {
                tracing::warn!(%error, "the blob store cannot be reached; trying again");
                tokio::time::sleep(backoff.delay()).await;
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

/// Outcome of an attempt whose task has expired. The leader decides that; only if it does not, the worker does.
async fn expired(stop: &CancellationToken) -> AttemptOutcome {
    match timeout(EXPIRY_GRACE, stop.cancelled()).await {
        Ok(()) => AttemptOutcome::Stopped,
        Err(_) => AttemptOutcome::Failure(Failure::permanent(
            Reason::DeadlineExceeded,
            "the task's deadline passed",
        )),
    }
}

/// The failure of an attempt that panicked.
pub(super) fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    Failure::retryable(
        Reason::HandlerFailed,
        format!("the handler panicked: {}", panic_message(panic)),
    )
}

/// Opens a span in the submitter's trace, with a link to the attempt before.
fn span(assignment: &Assignment) -> Span {
    let Assignment {
        attempt,
        kind,
        traceparent,
        tenant,
        ..
    } = assignment;
    let mut head = Head::below(traceparent).with_id(span_id(*attempt));
    if let Some(before) = before(assignment) {
        head = head.linked(before);
    }
    head.span(|| {
        tracing::info_span!(
            "attempt",
            otel.name = %format_args!("process {kind}"),
            otel.kind = "consumer",
            otel.status_code = tracing::field::Empty,
            otel.status_description = tracing::field::Empty,
            messaging.system = "lepton",
            messaging.operation.name = "process",
            "messaging.operation.type" = "process",
            "error.type" = tracing::field::Empty,
            messaging.destination.name = kind.as_str(),
            messaging.message.id = %attempt.task,
            lepton.attempt = i64::from(attempt.number),
            lepton.tenant = %tenant,
        )
    })
}

/// Derives the span id of an attempt, the same on every worker: so a retry links to the attempt before wherever that ran,
/// also where it was lost with its worker.
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

/// Records a failure in the span and in the log.
fn record(assignment: &Assignment, outcome: &AttemptOutcome) {
    let AttemptOutcome::Failure(Failure { error, retryable }) = outcome else {
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
