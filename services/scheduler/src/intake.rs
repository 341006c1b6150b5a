//! The stream on which gateways send commands and single reads.
//!
//! Promises: every request is answered once under its own number, in the order in which outcomes commit. A stream has
//! at most [`UNANSWERED_MAX`] requests unanswered; more wait in the gateway. Leaves deciding to the leader's task.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use lepton_domain::ids::Tenant;
use lepton_domain::ledger::Submission;
use lepton_domain::reason::Fault;
use lepton_proto::convert;
use lepton_proto::journal::v1::Submitted;
use lepton_proto::scheduler::v1 as wire;
use lepton_proto::scheduler::v1::intake_request::Request as Wish;
use lepton_proto::scheduler::v1::intake_response::Outcome;
use lepton_telemetry::trace::TraceContext;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Status, Streaming};
use tracing::Span;

use crate::leader::message::{Answer, Message, Seen};
use crate::office::{LeaderHandle, resigned};

/// Requests of one stream that may be unanswered.
const UNANSWERED_MAX: usize = 8_192;

/// What a gateway receives.
pub(crate) type Responses = Pin<Box<dyn Stream<Item = Result<wire::IntakeResponse, Status>> + Send>>;

/// Where the answers of one stream go. Its length is bounded by the permits that its messages hold.
type Outbox = mpsc::UnboundedSender<(wire::IntakeResponse, OwnedSemaphorePermit)>;

/// Answers one request; when it is dropped unused, the gateway learns that the leader has gone.
struct Reply {
    number: u64,
    outbox: Outbox,
    permit: Option<OwnedSemaphorePermit>,
    /// Covers a submit from its arrival to the commit that it waits for.
    span: Span,
}

impl Reply {
    fn give(mut self, outcome: Result<Seen, Fault>) {
        self.send(outcome);
    }

    fn send(&mut self, outcome: Result<Seen, Fault>) {
        let Some(permit) = self.permit.take() else { return };
        let (outcome, progress) = match outcome {
            Ok(Seen { task, progress }) => (Outcome::Task(Box::new(task.as_ref().into())), progress),
            Err(fault) => {
                self.span.record("otel.status_code", "error");
                self.span.record("otel.status_description", fault.reason.as_str());
                (Outcome::Refusal((&fault).into()), None)
            }
        };
        // The gateway may have left; then nobody waits for the answer.
        let _left = self.outbox.send((
            wire::IntakeResponse {
                number: self.number,
                outcome: Some(outcome),
                progress: progress.as_deref().cloned(),
            },
            permit,
        ));
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.send(Err(resigned()));
    }
}

/// The answers to a stream of requests, and the work that reads it.
pub(crate) fn open(
    leader: LeaderHandle,
    requests: Streaming<wire::IntakeRequest>,
) -> (Responses, impl Future<Output = ()> + Send + 'static) {
    let (outbox, answers) = mpsc::unbounded_channel();
    let reading = read(leader, requests, outbox);
    // The permit goes back when the answer has been taken by the transport.
    let responses = UnboundedReceiverStream::new(answers).map(|(response, _permit)| Ok(response));
    (Box::pin(responses), reading)
}

async fn read(leader: LeaderHandle, mut requests: Streaming<wire::IntakeRequest>, outbox: Outbox) {
    let window = Arc::new(Semaphore::new(UNANSWERED_MAX));
    while let Ok(Some(request)) = requests.message().await {
        let Ok(permit) = window.clone().acquire_owned().await else {
            return;
        };
        let reply = Reply {
            number: request.number,
            outbox: outbox.clone(),
            permit: Some(permit),
            span: Span::none(),
        };
        if let Some(mark) = request.mark
            && leader.send(Message::Marked(mark)).await.is_err()
        {
            return;
        }
        if let Some(message) = message(request.request, reply)
            && leader.send(message).await.is_err()
        {
            return;
        }
    }
}

/// What a request means; none when it was answered right away because it cannot be read.
fn message(wish: Option<Wish>, mut reply: Reply) -> Option<Message> {
    if let Some(Wish::Submit(submit)) = &wish {
        reply.span = span(submit);
    }
    let read = match wish {
        Some(Wish::Submit(submit)) => submission(*submit).map(Read::Submit),
        Some(Wish::Cancel(cancel)) => task(&cancel.task).map(|id| Read::Cancel(id, cancel)),
        Some(Wish::Get(get)) => task(&get.task).map(|id| Read::Get(id, get.tenant)),
        None => Err(Fault::field("request", "missing")),
    };
    match read {
        Ok(read) => Some(read.message(Box::new(|outcome| reply.give(outcome)))),
        Err(fault) => {
            reply.give(Err(fault));
            None
        }
    }
}

/// The span of a submit in its submitter's trace; none where that is not exported.
fn span(submit: &Submitted) -> Span {
    let traceparent = submit.traceparent.as_str();
    if !TraceContext::parse(traceparent).is_some_and(|context| context.is_sampled()) {
        return Span::none();
    }
    tracing::info_span!(
        "journal commit",
        traceparent,
        otel.status_code = tracing::field::Empty,
        otel.status_description = tracing::field::Empty,
        lepton.kind = submit.spec.as_ref().map(|spec| spec.kind.as_str()),
    )
}

enum Read {
    Submit(Box<Submission>),
    Cancel(lepton_domain::ids::TaskId, wire::CancelCommand),
    Get(lepton_domain::ids::TaskId, String),
}

impl Read {
    fn message(self, answer: Answer) -> Message {
        match self {
            Read::Submit(submission) => Message::Submit { submission, answer },
            Read::Cancel(task, cancel) => Message::Cancel {
                tenant: Tenant::new(cancel.tenant),
                task,
                message: cancel.message,
                answer,
            },
            Read::Get(task, tenant) => Message::Get {
                tenant: Tenant::new(tenant),
                task,
                answer,
            },
        }
    }
}

fn submission(submit: Submitted) -> Result<Box<Submission>, Fault> {
    let submission = Submission::try_from(submit)?;
    submission.check()?;
    Ok(Box::new(submission))
}

fn task(bytes: &[u8]) -> Result<lepton_domain::ids::TaskId, Fault> {
    Ok(convert::task_id("task", bytes)?)
}
