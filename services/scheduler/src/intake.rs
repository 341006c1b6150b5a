//! The stream on which gateways send commands and single reads.
//!
//! Promises: every request is answered once under its own number. A stream has at most [`UNANSWERED_MAX`] requests
//! unanswered; more wait in the gateway. Leaves deciding to the leader's task.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use lepton_domain::ids::Tenant;
use lepton_domain::ledger::{Rejection, Submission};
use lepton_domain::reason::ApiError;
use lepton_proto::convert;
use lepton_proto::journal::v1::Submitted;
use lepton_proto::scheduler::v1 as proto;
use lepton_proto::scheduler::v1::intake_request::Request;
use lepton_proto::scheduler::v1::intake_response::Outcome;
use lepton_telemetry::trace::{Head, TraceContext};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Status, Streaming};
use tracing::Span;

use crate::error::CallError;
use crate::leader_handle::LeaderHandle;
use crate::message::{Call, Message, PeerMark, Responder, TaskView};

/// Requests of one stream that may be unanswered.
const UNANSWERED_MAX: usize = 8_192;

/// Responses to a gateway.
pub(crate) type Responses = Pin<Box<dyn Stream<Item = Result<proto::IntakeResponse, Status>> + Send>>;

/// Sender of one stream's [`Responses`]. Its length is bounded by the permits that its messages hold.
type Outbox = mpsc::UnboundedSender<(proto::IntakeResponse, OwnedSemaphorePermit)>;

/// Response to one request; dropped unused, it lets the gateway know that the leader has resigned.
struct PendingResponse {
    number: u64,
    outbox: Outbox,
    permit: Option<OwnedSemaphorePermit>,
    /// Covers a submit from its arrival to the commit that it waits for.
    span: Span,
}

impl PendingResponse {
    fn send(&mut self, outcome: Result<TaskView, CallError>) {
        let Some(permit) = self.permit.take() else { return };
        let (outcome, progress, pending_reason) = match outcome {
            Ok(view) => {
                let task = Outcome::Task(Box::new(view.task.as_ref().into()));
                (task, view.progress, view.pending_reason)
            }
            Err(error) => {
                let api_error = ApiError::from(error);
                self.span.record("otel.status_code", "error");
                self.span.record("otel.status_description", api_error.reason.as_str());
                (Outcome::Refusal((&api_error).into()), None, String::new())
            }
        };
        // The gateway may have left; then nobody waits for the response.
        let _left = self.outbox.send((
            proto::IntakeResponse {
                number: self.number,
                outcome: Some(outcome),
                progress: progress.as_deref().cloned(),
                pending_reason,
            },
            permit,
        ));
    }

    fn responder(mut self) -> Responder {
        Box::new(move |outcome| self.send(outcome))
    }
}

impl Drop for PendingResponse {
    fn drop(&mut self) {
        self.send(Err(CallError::Resigned));
    }
}

/// Returns the [`Responses`] to a stream of requests of `sender`, and the work that reads the requests.
pub(crate) fn open(
    leader: LeaderHandle,
    sender: String,
    requests: Streaming<proto::IntakeRequest>,
) -> (Responses, impl Future<Output = ()> + Send + 'static) {
    let (outbox, sent) = mpsc::unbounded_channel();
    let reading = read_requests(leader, sender, requests, outbox);
    // The permit goes back when the response has been taken by the transport.
    let responses = UnboundedReceiverStream::new(sent).map(|(response, _permit)| Ok(response));
    (Box::pin(responses), reading)
}

async fn read_requests(
    leader: LeaderHandle,
    sender: String,
    mut requests: Streaming<proto::IntakeRequest>,
    outbox: Outbox,
) {
    let window = Arc::new(Semaphore::new(UNANSWERED_MAX));
    while let Ok(Some(request)) = requests.message().await {
        let Ok(permit) = window.clone().acquire_owned().await else {
            return;
        };
        let response = PendingResponse {
            number: request.number,
            outbox: outbox.clone(),
            permit: Some(permit),
            span: request.request.as_ref().map_or_else(Span::none, span),
        };
        let mark = request.mark.map(|mark| PeerMark {
            sender: sender.clone(),
            mark,
        });
        if let Some(mark) = mark
            && leader.send(Message::PeerMark(mark)).await.is_err()
        {
            return;
        }
        if let Some(call) = read_call(request.request, response)
            && leader.send(Message::Call(call)).await.is_err()
        {
            return;
        }
    }
}

/// Reads a request as a [`Call`]; one that cannot be read is refused right away.
fn read_call(request: Option<Request>, mut response: PendingResponse) -> Option<Call> {
    let read = request
        .ok_or_else(|| CallError::missing("request"))
        .and_then(IntakeCommand::read);
    match read {
        Ok(command) => Some(command.call(response.responder())),
        Err(error) => {
            response.send(Err(error));
            None
        }
    }
}

/// The span of a submit in its submitter's trace; none for other requests, and where that trace is not exported.
fn span(request: &Request) -> Span {
    let Request::Submit(submit) = request else {
        return Span::none();
    };
    let traceparent = submit.traceparent.as_str();
    if !TraceContext::parse(traceparent).is_some_and(|context| context.is_sampled()) {
        return Span::none();
    }
    Head::below(traceparent).span(|| {
        tracing::info_span!(
            "journal commit",
            otel.status_code = tracing::field::Empty,
            otel.status_description = tracing::field::Empty,
            lepton.kind = submit.spec.as_ref().map(|spec| spec.kind.as_str()),
        )
    })
}

/// A request that has been read.
enum IntakeCommand {
    Submit(Box<Submission>),
    Cancel(lepton_domain::ids::TaskId, proto::CancelCommand),
    Get(lepton_domain::ids::TaskId, Tenant),
    Purge(lepton_domain::ids::TaskId, Tenant),
}

impl IntakeCommand {
    fn read(request: Request) -> Result<Self, CallError> {
        let task = |bytes: &[u8]| convert::task_id("task", bytes);
        match request {
            Request::Submit(submit) => Ok(Self::Submit(submission(*submit)?)),
            Request::Cancel(cancel) => Ok(Self::Cancel(task(&cancel.task)?, cancel)),
            Request::Get(get) => Ok(Self::Get(task(&get.task)?, Tenant::new(get.tenant))),
            Request::Purge(purge) => Ok(Self::Purge(task(&purge.task)?, Tenant::new(purge.tenant))),
        }
    }

    fn call(self, responder: Responder) -> Call {
        match self {
            Self::Submit(submission) => Call::Submit { submission, responder },
            Self::Cancel(task, cancel) => Call::Cancel {
                tenant: Tenant::new(cancel.tenant),
                task,
                message: cancel.message,
                responder,
            },
            Self::Get(task, tenant) => Call::Get {
                tenant,
                task,
                responder,
            },
            Self::Purge(task, tenant) => Call::Purge {
                tenant,
                task,
                responder,
            },
        }
    }
}

fn submission(submit: Submitted) -> Result<Box<Submission>, CallError> {
    let submission = Submission::try_from(submit)?;
    submission.check().map_err(Rejection::Invalid)?;
    Ok(Box::new(submission))
}
