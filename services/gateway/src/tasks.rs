//! Durable tasks, as clients submit, read, cancel and follow them.
//!
//! Promises: a task is acknowledged only after the leader has reported its commit; an outcome that is not known
//! is UNAVAILABLE, never a false success; each submit has a request id before its first try, so that repeating it here
//! is safe; waits and watches are bounded and have a connection of their own, so that they hold up no other call. Leaves
//! deciding to the leader and the forms of the answers to [`grpc`] and [`rest`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use lepton_coordination::registry::Directory;
use lepton_core::context::Context;
use lepton_core::error::is_retryable;
use lepton_core::shutdown::Shutdown;
use lepton_domain::ids::{ContentDigest, RequestId, TaskId};
use lepton_domain::ledger::Submission;
use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::task::Encoding;
use lepton_mesh::channel::leader::LeaderChannel;
use lepton_mesh::server::deadline::Deadline;
use lepton_proto::convert::task::{Envelope, submission};
use lepton_proto::convert::task_id_bytes;
use lepton_proto::scheduler::v1::intake_request::Request;
use lepton_proto::scheduler::v1::{CancelCommand, GetQuery};
use lepton_proto::task::v1::{SubmitTaskRequest, TaskView};
use lepton_telemetry::trace::{self, TraceContext};
use tokio::sync::Semaphore;

use self::config::TasksConfig;
use self::dispatch_state::DispatchState;
use self::error::CallError;
use self::etcd_health::EtcdHealth;
use self::intake::{Answer, Handle};
use self::payloads::{KnownInput, Payloads};
use self::snapshot::TaskSnapshot;
use self::view::View;
use crate::request::Caller;

mod batch;
pub mod config;
mod dispatch_state;
mod ended;
mod error;
pub mod etcd_health;
mod filter;
mod grpc;
pub mod intake;
mod kinds;
mod leader;
mod list;
mod many;
pub mod payloads;
mod progress_throttle;
pub mod rest;
mod snapshot;
mod submit;
mod view;
mod watch;

/// Lists under way at once; more wait. They share a connection with every submit.
const LISTS_MAX: usize = 256;

/// Everything that calls about tasks need. Clones share it.
#[derive(Debug, Clone)]
pub struct Tasks {
    context: Context,
    config: TasksConfig,
    /// The stream of commands and reads to the leader.
    pub intake: Handle,
    /// The leader, for lists and watches.
    leader: LeaderChannel,
    /// The store of large payloads.
    pub payloads: Payloads,
    /// The reachability of etcd.
    pub etcd_health: EtcdHealth,
    /// The workers, whose entries name the kinds that they run.
    directory: Directory,
    /// Triggered when the gateway leaves: watches end then.
    draining: Shutdown,
    lists: Arc<Semaphore>,
    watches: Arc<Semaphore>,
}

/// The parts of the gateway that calls about tasks go through.
#[derive(Debug)]
pub struct Parts {
    /// The stream of commands and reads to the leader.
    pub intake: Handle,
    /// The leader, for lists and watches.
    pub leader: LeaderChannel,
    /// The store of large payloads.
    pub payloads: Payloads,
    /// The reachability of etcd.
    pub etcd_health: EtcdHealth,
    /// The workers, whose entries name the kinds that they run.
    pub directory: Directory,
    /// Triggered when the gateway leaves.
    pub draining: Shutdown,
}

/// A submit whose payload is canonical.
#[derive(Debug)]
pub struct Submit {
    /// The request without its payload, checked against the contract's rules.
    pub request: SubmitTaskRequest,
    /// Encoding of the input.
    pub encoding: Encoding,
    /// The input.
    pub input: Bytes,
    /// SHA-256 of the input, JSON in canonical form.
    pub digest: ContentDigest,
}

impl Tasks {
    /// Calls with these limits.
    pub fn new(context: Context, config: TasksConfig, parts: Parts) -> Self {
        Self {
            lists: Arc::new(Semaphore::new(LISTS_MAX)),
            watches: Arc::new(Semaphore::new(config.watches_max.min(Semaphore::MAX_PERMITS))),
            context,
            config,
            intake: parts.intake,
            leader: parts.leader,
            payloads: parts.payloads,
            etcd_health: parts.etcd_health,
            directory: parts.directory,
            draining: parts.draining,
        }
    }

    /// Submits a task and answers when it is durable.
    pub async fn submit(&self, caller: &Caller, submit: Submit, deadline: Option<Deadline>) -> Result<View, ApiError> {
        self.submit_below(trace::current(), caller, submit, deadline).await
    }

    /// Submits a task whose spans are to stand below `parent`.
    async fn submit_below(
        &self,
        parent: Option<TraceContext>,
        caller: &Caller,
        submit: Submit,
        deadline: Option<Deadline>,
    ) -> Result<View, ApiError> {
        let Submit {
            mut request,
            encoding,
            input,
            digest,
        } = submit;
        kinds::check(&request.kind, &self.directory)?;
        if self.etcd_health.is_away() {
            return Err(CallError::JournalAway.into());
        }
        if request.request_id.is_empty() {
            request.request_id = self.context.random.token();
        }
        let id = TaskId::v7(self.context.clock.now().as_millis(), self.context.random.next_u128());
        let envelope = Envelope {
            id,
            tenant: caller.tenant.clone(),
            request_id: RequestId::new(request.request_id.as_str()),
            traceparent: parent.map(|parent| parent.to_string().into()),
            input_digest: digest,
        };
        let payload = self.payloads.store_input(id, encoding, input.clone()).await?;
        let known = KnownInput::new(&payload, input);
        let submitted = match submission(&request, envelope, payload) {
            Ok(submission) => self.hand_in(&submission, deadline).await,
            Err(error) => {
                if known.is_some() {
                    self.payloads.discard(id).await;
                }
                Err(error)
            }
        };
        let task = submitted.map_err(|error| with_request_id(error, &request.request_id))?;
        let resolved = self.payloads.resolve(&task.task, known.as_ref()).await?;
        Ok(View::new(task, resolved))
    }

    /// Hands a submission to the leader. Its input is deleted from the blob store where no task has come of it.
    async fn hand_in(&self, submission: &Submission, deadline: Option<Deadline>) -> Result<TaskSnapshot, ApiError> {
        let dispatch = DispatchState::new();
        let draft = self.payloads.draft(submission.id, &submission.spec.input, &dispatch);
        let submit = Request::Submit(Box::new(submission.into()));
        let submitted = self.ask(submit, dispatch, deadline).await;
        if let Some(draft) = draft
            && has_no_task(&submitted, submission.id)
        {
            draft.discard().await;
        }
        submitted
    }

    /// Reads a task as it is now.
    pub async fn get(
        &self,
        caller: &Caller,
        id: &str,
        view: TaskView,
        deadline: Option<Deadline>,
    ) -> Result<View, ApiError> {
        let task = self.record(caller, id, deadline).await?;
        match view {
            TaskView::Basic => Ok(View::basic(task)),
            _ => self.view(task).await,
        }
    }

    /// Reads the record of a task, without its large payloads.
    pub async fn record(
        &self,
        caller: &Caller,
        id: &str,
        deadline: Option<Deadline>,
    ) -> Result<TaskSnapshot, ApiError> {
        let query = GetQuery {
            task: task_id_bytes(parse_id(id)?),
            tenant: caller.tenant.as_str().to_owned(),
        };
        self.ask(Request::Get(query), DispatchState::new(), deadline).await
    }

    /// Cancels a task.
    pub async fn cancel(
        &self,
        caller: &Caller,
        id: &str,
        message: String,
        deadline: Option<Deadline>,
    ) -> Result<View, ApiError> {
        let command = CancelCommand {
            task: task_id_bytes(parse_id(id)?),
            tenant: caller.tenant.as_str().to_owned(),
            message,
        };
        let task = self
            .ask(Request::Cancel(command), DispatchState::new(), deadline)
            .await?;
        self.view(task).await
    }

    /// Waits until a task ends or `timeout` passes, and gives it as it is then.
    pub async fn wait(
        &self,
        caller: &Caller,
        id: &str,
        timeout: Duration,
        deadline: Option<Deadline>,
    ) -> Result<View, ApiError> {
        let clock = self.context.clock;
        // A little before the caller gives up, so that it gets the task and not an error.
        let timeout = deadline.map_or(timeout, |deadline| timeout.min(deadline.remaining(&clock).mul_f64(0.9)));
        let mut states = Box::pin(self.follow(caller, parse_id(id)?)?);
        let started = clock.monotonic();
        let first = tokio::select! {
            first = states.next() => first.ok_or(CallError::NoLeader)??,
            () = self.etcd_health.away() => return Err(CallError::JournalAway.into()),
            () = tokio::time::sleep(self.patience(deadline)) => return Err(CallError::NoLeader.into()),
        };
        let mut last = first;
        let left = timeout.saturating_sub(clock.monotonic().saturating_sub(started));
        let until_the_end = async {
            // A break that lasts ends the wait early, with the last state that is known.
            while let Some(Ok(current)) = states.next().await {
                last = current;
            }
        };
        // Whether it ended or not, the task is the answer.
        let _ = tokio::time::timeout(left, until_the_end).await;
        self.view(last).await
    }

    /// The committed states of a task, the present one first, and its progress in between, until it has ended. The last
    /// item may be an error.
    pub fn watch(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<impl Stream<Item = Result<View, ApiError>> + Send + use<>, ApiError> {
        let states = Box::pin(self.follow(caller, parse_id(id)?)?);
        Ok(progress_throttle::views(
            states,
            self.payloads.clone(),
            self.context.clock,
        ))
    }

    /// Refused with OVERLOADED where too many follow already: each takes a stream of the connection for watches, and more
    /// streams than it may have would only queue.
    fn follow(
        &self,
        caller: &Caller,
        task: TaskId,
    ) -> Result<impl Stream<Item = Result<TaskSnapshot, ApiError>> + Send + use<>, CallError> {
        let permit = self.watches.clone().try_acquire_owned();
        let limit = self.config.watches_max;
        let permit = permit.map_err(|_| CallError::WatchesExhausted { limit })?;
        let (leader, tenant, draining) = (self.leader.clone(), caller.tenant.clone(), self.draining.clone());
        Ok(watch::follow(leader, tenant, task, draining, permit))
    }

    /// Sends a request to the leader, whichever instance it is, until the deadline. Without an answer the error
    /// distinguishes what has certainly not happened.
    async fn ask(
        &self,
        request: Request,
        dispatch: DispatchState,
        deadline: Option<Deadline>,
    ) -> Result<TaskSnapshot, ApiError> {
        let is_read = matches!(request, Request::Get(_));
        tokio::select! {
            answer = self.intake.ask(request, dispatch.clone()) => {
                let Answer { record, progress, pending_reason } = answer?;
                let snapshot = TaskSnapshot::from_wire(record, progress, pending_reason);
                snapshot.map_err(|error| CallError::Unreadable(error.message).into())
            }
            () = self.etcd_health.away() => Err(CallError::JournalAway.into()),
            () = tokio::time::sleep(self.patience(deadline)) => {
                let unsent = dispatch.withdraw() || is_read;
                Err(if unsent { CallError::NoLeader } else { CallError::OutcomeUnknown }.into())
            }
        }
    }

    /// Longest wait of a call for its answer.
    fn patience(&self, deadline: Option<Deadline>) -> Duration {
        let Some(deadline) = deadline else {
            return self.config.deadline;
        };
        // Before the caller's own clock runs out, so that it learns what is known.
        self.config
            .deadline
            .min(deadline.remaining(&self.context.clock).mul_f64(0.95))
    }

    async fn view(&self, snapshot: TaskSnapshot) -> Result<View, ApiError> {
        let resolved = self.payloads.resolve(&snapshot.task, None).await?;
        Ok(View::new(snapshot, resolved))
    }
}

fn parse_id(id: &str) -> Result<TaskId, CallError> {
    id.parse().map_err(|_| CallError::NoTaskId(id.to_owned()))
}

/// True where no task with this id can have come of a submit.
fn has_no_task(submitted: &Result<TaskSnapshot, ApiError>, id: TaskId) -> bool {
    use Reason::{FieldInvalid, JournalFull, Overloaded, QuotaExceeded, RequestIdReused};
    match submitted {
        Ok(snapshot) => snapshot.task.id != id,
        Err(error) => [FieldInvalid, JournalFull, Overloaded, QuotaExceeded, RequestIdReused].contains(&error.reason),
    }
}

/// Adds the request id, which this gateway may have chosen, so that a repetition is recognised.
fn with_request_id(error: ApiError, request_id: &str) -> ApiError {
    if is_retryable(&error) {
        error.with("requestId", request_id)
    } else {
        error
    }
}
