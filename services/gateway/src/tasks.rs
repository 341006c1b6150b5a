//! Durable tasks, as clients submit, read, cancel and follow them.
//!
//! Promises: a task is acknowledged only when the leader says that it is committed; what is not known to have happened
//! is UNAVAILABLE, never a false success; each submit has a request id before its first try, so that repeating it here
//! is safe. Leaves deciding to the leader and the forms of the answers to `grpc` and `rest`.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use lepton_coordination::registry::Directory;
use lepton_core::context::Context;
use lepton_core::error;
use lepton_core::shutdown::Shutdown;
use lepton_domain::ids::{ContentDigest, RequestId, TaskId};
use lepton_domain::reason::{Fault, Reason};
use lepton_domain::task::{Encoding, Task};
use lepton_mesh::channel::leader::LeaderChannel;
use lepton_mesh::server::deadline::Deadline;
use lepton_proto::convert::task::{Envelope, submission};
use lepton_proto::convert::task_id_bytes;
use lepton_proto::scheduler::v1::intake_request::Request;
use lepton_proto::scheduler::v1::{CancelCommand, GetQuery, ListTasksRequest as LeaderListRequest};
use lepton_proto::task::v1::{ListTasksRequest, SubmitTaskRequest, TaskView};
use lepton_telemetry::trace::{self, TraceContext};

use self::config::TasksConfig;
use self::current::Current;
use self::intake::Handle;
use self::payloads::Payloads;
use self::reach::Reach;
use self::sent::Sent;
use self::view::View;
use crate::edge::Caller;

mod batch;
pub mod config;
mod current;
pub mod grpc;
pub mod intake;
pub mod key;
pub mod kinds;
mod leader;
mod page;
pub mod payloads;
pub mod reach;
pub mod rest;
pub mod sent;
mod show;
mod submit;
mod view;
pub mod watch;

/// Tasks on a page where the request does not say.
const PAGE_SIZE_DEFAULT: u32 = 50;
/// Bytes of blobs on one page; a page that would hold more ends early and the next one goes on.
const PAGE_BLOB_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// When to try again after an answer stayed out.
const RETRY: Duration = Duration::from_secs(1);

/// Everything that calls about tasks need. Clones share it.
#[derive(Debug, Clone)]
pub struct Tasks {
    /// Time, randomness.
    pub context: Context,
    /// Limits of this gateway.
    pub config: TasksConfig,
    /// The stream to the leader.
    pub intake: Handle,
    /// The leader, for reads and watches of their own.
    pub leader: LeaderChannel,
    /// Large payloads.
    pub payloads: Payloads,
    /// Whether etcd is away.
    pub reach: Reach,
    /// Who runs which kinds.
    pub directory: Directory,
    /// Triggered when the gateway leaves: who waits is answered then.
    pub draining: Shutdown,
}

/// A submit whose payload is canonical.
#[derive(Debug)]
pub struct Submit {
    /// The request without its payload, checked against the contract's rules.
    pub request: SubmitTaskRequest,
    /// How to read the input.
    pub encoding: Encoding,
    /// The input.
    pub input: Bytes,
    /// SHA-256 of the input, JSON in canonical form.
    pub digest: ContentDigest,
}

/// One page of a listing.
#[derive(Debug)]
pub struct Page {
    /// The tasks, newest first.
    pub tasks: Vec<View>,
    /// Token of the next page; empty after the last.
    pub next: String,
}

impl Tasks {
    /// Submits a task and answers when it is durable.
    pub async fn submit(&self, caller: &Caller, submit: Submit, deadline: Option<Deadline>) -> Result<View, Fault> {
        self.submit_below(trace::current(), caller, submit, deadline).await
    }

    /// Submits a task whose spans are to stand below `parent`.
    async fn submit_below(
        &self,
        parent: Option<TraceContext>,
        caller: &Caller,
        submit: Submit,
        deadline: Option<Deadline>,
    ) -> Result<View, Fault> {
        let Submit {
            mut request,
            encoding,
            input,
            digest,
        } = submit;
        kinds::check(&request.kind, &self.directory)?;
        if self.reach.is_away() {
            return Err(journal_away());
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
        let payload = self.payloads.keep(id, encoding, input).await?;
        let sent = Sent::no();
        let draft = self.payloads.draft(id, &payload, &sent);
        let asked = match submission(&request, envelope, payload) {
            Ok(submission) => {
                let submit = Request::Submit(Box::new((&submission).into()));
                self.ask(submit, sent, deadline).await
            }
            Err(fault) => Err(fault),
        };
        if let Some(draft) = draft
            && is_unwanted(&asked, id)
        {
            draft.forget().await;
        }
        let task = asked.map_err(|fault| named(fault, &request.request_id))?;
        self.view(task).await
    }

    /// Reads a task as it is now.
    pub async fn get(
        &self,
        caller: &Caller,
        id: &str,
        view: TaskView,
        deadline: Option<Deadline>,
    ) -> Result<View, Fault> {
        let query = GetQuery {
            task: task_id_bytes(parse_id(id)?),
            tenant: caller.tenant.as_str().to_owned(),
        };
        let task = self.ask(Request::Get(query), Sent::no(), deadline).await?;
        match view {
            TaskView::Basic => Ok(View::basic(task)),
            _ => self.view(task).await,
        }
    }

    /// Cancels a task.
    pub async fn cancel(
        &self,
        caller: &Caller,
        id: &str,
        message: String,
        deadline: Option<Deadline>,
    ) -> Result<View, Fault> {
        let command = CancelCommand {
            task: task_id_bytes(parse_id(id)?),
            tenant: caller.tenant.as_str().to_owned(),
            message,
        };
        let task = self.ask(Request::Cancel(command), Sent::no(), deadline).await?;
        self.view(task).await
    }

    /// Lists one page.
    pub async fn list(
        &self,
        caller: &Caller,
        request: &ListTasksRequest,
        deadline: Option<Deadline>,
    ) -> Result<Page, Fault> {
        let query = LeaderListRequest {
            tenant: caller.tenant.as_str().to_owned(),
            page_size: if request.page_size == 0 {
                PAGE_SIZE_DEFAULT
            } else {
                request.page_size
            },
            before_seq: page::before_seq(caller.tenant.as_str(), request)?,
            state: u32::try_from(request.state).unwrap_or_default(),
            kind: request.kind.clone(),
        };
        let patience = self.patience(deadline);
        let answer = tokio::select! {
            answer = leader::call(&self.leader, |mut leader| {
                let query = query.clone();
                async move { leader.list_tasks(query).await }
            }) => answer?.1,
            () = self.reach.away() => return Err(journal_away()),
            () = tokio::time::sleep(patience) => return Err(no_leader()),
        };
        let (mut tasks, mut next, mut blob_bytes) = (Vec::new(), answer.next_before_seq, 0);
        for record in answer.tasks {
            let task = Task::try_from(record)?;
            if request.view() == TaskView::Basic {
                tasks.push(View::basic(Current::of(task)));
                continue;
            }
            blob_bytes += payloads::stored_bytes(&task);
            if blob_bytes > PAGE_BLOB_BYTES_MAX && !tasks.is_empty() {
                next = last_seq(&tasks);
                break;
            }
            tasks.push(self.listed(Current::of(task)).await?);
        }
        let next = if next == 0 {
            String::new()
        } else {
            page::token(next, caller.tenant.as_str(), request)
        };
        Ok(Page { tasks, next })
    }

    /// Waits until a task ends or `timeout` passes, and gives it as it is then.
    pub async fn wait(
        &self,
        caller: &Caller,
        id: &str,
        timeout: Duration,
        deadline: Option<Deadline>,
    ) -> Result<View, Fault> {
        let clock = self.context.clock;
        // A little before the caller gives up, so that it gets the task and not an error.
        let timeout = deadline.map_or(timeout, |deadline| timeout.min(deadline.remaining(&clock).mul_f64(0.9)));
        let mut states = Box::pin(self.follow(caller, parse_id(id)?));
        let started = clock.monotonic();
        let first = tokio::select! {
            first = states.next() => first.ok_or_else(no_leader)??,
            () = self.reach.away() => return Err(journal_away()),
            () = tokio::time::sleep(self.patience(deadline)) => return Err(no_leader()),
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
    /// item may be a fault.
    pub fn watch(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<impl Stream<Item = Result<View, Fault>> + Send + use<>, Fault> {
        let states = Box::pin(self.follow(caller, parse_id(id)?));
        Ok(show::views(states, self.payloads.clone(), self.context.clock))
    }

    fn follow(&self, caller: &Caller, task: TaskId) -> impl Stream<Item = Result<Current, Fault>> + Send + use<> {
        watch::follow(self.leader.clone(), caller.tenant.clone(), task, self.draining.clone())
    }

    /// Asks the leader, whoever it is, until the deadline; says honestly what is known when no answer came.
    async fn ask(&self, request: Request, sent: Sent, deadline: Option<Deadline>) -> Result<Current, Fault> {
        let is_read = matches!(request, Request::Get(_));
        tokio::select! {
            answer = self.intake.ask(request, sent.clone()) => {
                let (record, progress) = answer?;
                Current::read(record, progress).map_err(unreadable)
            }
            () = self.reach.away() => Err(journal_away()),
            () = tokio::time::sleep(self.patience(deadline)) => {
                Err(if sent.withdraw() || is_read { no_leader() } else { outcome_unknown() })
            }
        }
    }

    /// How long a call may wait for its answer.
    fn patience(&self, deadline: Option<Deadline>) -> Duration {
        let Some(deadline) = deadline else {
            return self.config.deadline;
        };
        // Before the caller's own clock runs out, so that it learns what is known.
        self.config
            .deadline
            .min(deadline.remaining(&self.context.clock).mul_f64(0.95))
    }

    /// A task on a page: one whose payloads cannot be read must not hide the others.
    async fn listed(&self, current: Current) -> Result<View, Fault> {
        match self.payloads.resolve(&current.task, None).await {
            Ok(resolved) => Ok(View::new(current, resolved)),
            Err(fault) if is_of_the_blob(&fault) => {
                tracing::warn!(task = %current.task.id, %fault, "a task is listed without its input and output");
                Ok(View::basic(current))
            }
            Err(fault) => Err(fault),
        }
    }

    async fn view(&self, current: Current) -> Result<View, Fault> {
        let resolved = self.payloads.resolve(&current.task, None).await?;
        Ok(View::new(current, resolved))
    }
}

fn parse_id(id: &str) -> Result<TaskId, Fault> {
    // No task has such an id, so that is what the caller is told.
    id.parse().map_err(|_| {
        Fault::new(
            Reason::TaskNotFound,
            format!("there is no task {id:?}; ids are UUIDs, as SubmitTask gives them"),
        )
        .with("task", id)
    })
}

/// Whether a fault is about a blob, and not about the whole store.
fn is_of_the_blob(fault: &Fault) -> bool {
    use Reason::{BlobNotFound, BlobUnavailable, DataCorrupt};
    [BlobNotFound, BlobUnavailable, DataCorrupt].contains(&fault.reason)
}

fn last_seq(tasks: &[View]) -> u64 {
    tasks.last().map_or(0, |view| view.task.created_seq.0)
}

/// Whether it is certain that no task with this id has come of a submit. What is not certain may have happened.
fn is_unwanted(asked: &Result<Current, Fault>, id: TaskId) -> bool {
    use Reason::{FieldInvalid, JournalFull, Overloaded, QuotaExceeded, RequestIdReused};
    match asked {
        Ok(current) => current.task.id != id,
        Err(fault) => [FieldInvalid, JournalFull, Overloaded, QuotaExceeded, RequestIdReused].contains(&fault.reason),
    }
}

/// A record that the leader sent and that makes no sense is not the caller's fault, and the task may well be there.
fn unreadable(error: impl std::fmt::Display) -> Fault {
    Fault::new(Reason::Internal, format!("the leader's answer cannot be read: {error}"))
}

/// Tells the caller the request id that this gateway chose, so that a repetition is recognised.
fn named(fault: Fault, request_id: &str) -> Fault {
    if error::is_retryable(&fault) {
        fault.with("requestId", request_id)
    } else {
        fault
    }
}

fn journal_away() -> Fault {
    let message = "etcd does not answer, so nothing can be acknowledged; repeat the call with the same requestId";
    Fault::new(Reason::JournalUnavailable, message).retry_after(RETRY)
}

fn no_leader() -> Fault {
    let message = "no scheduler answered as the leader in time; repeat the call";
    Fault::new(Reason::LeaderUnavailable, message).retry_after(RETRY)
}

fn outcome_unknown() -> Fault {
    let message = "the leader did not answer in time; it may have happened: repeat the call with the same requestId";
    Fault::new(Reason::OutcomeUnknown, message).retry_after(RETRY)
}
