//! Messages between handlers and the leader's task, in both directions.
//!
//! Promises: every reply is used at most once; one that is dropped unused lets its caller know that the leader has
//! gone. Leaves wire forms to `intake`, `api` and `session`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lepton_domain::ids::{AttemptId, Epoch, InstanceId, Kind, TaskId, Tenant};
use lepton_domain::ledger::{Filter, Search, Submission};
use lepton_domain::reason::Reason;
use lepton_domain::task::{Payload, State, Task, TaskError};
use lepton_proto::journal::v1::Mark;
use lepton_proto::task::v1::Progress;
use tokio::sync::{mpsc, oneshot, watch};

use crate::error::CallError;

/// A task as callers see it.
#[derive(Debug, Clone)]
pub(crate) struct TaskView {
    /// Its record at a committed position.
    pub task: Arc<Task>,
    /// The last progress of its running attempt, if any was reported.
    pub progress: Option<Arc<Progress>>,
    /// Reason for which it waits; empty unless it is pending.
    pub pending_reason: String,
}

/// Callback with the [`TaskView`] as it is at the position that the answer depends on.
pub(crate) type Responder = Box<dyn FnOnce(Result<TaskView, CallError>) + Send>;

/// Latest committed [`TaskView`] of a watched task; the channel closes when the leader goes.
pub(crate) type TaskUpdates = watch::Receiver<TaskView>;

/// Name of one connection of a worker; a worker that comes back gets a new number.
pub(crate) type SessionNumber = u64;

/// A message to the leader's task.
pub(crate) enum Message {
    /// Answer a [`Call`].
    Call(Call),
    /// Take note of a [`SessionEvent`].
    Session { number: SessionNumber, event: SessionEvent },
    /// Prove that this leader still leads, since there is a sign that another does.
    LeadershipSuspect,
    /// Compare the journal with a mark that a peer holds.
    PeerMark(PeerMark),
}

/// A mark that a peer has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerMark {
    /// The peer as it names itself, for reports.
    pub sender: String,
    /// Its mark.
    pub mark: Mark,
}

/// A command or a read of a tenant.
pub(crate) enum Call {
    /// Take a task.
    Submit {
        submission: Box<Submission>,
        responder: Responder,
    },
    /// Withdraw a task.
    Cancel {
        tenant: Tenant,
        task: TaskId,
        message: String,
        responder: Responder,
    },
    /// Delete the record of an ended task.
    Purge {
        tenant: Tenant,
        task: TaskId,
        responder: Responder,
    },
    /// Pause (true) or resume a kind, if one is named, and read which are paused.
    PausedKinds {
        tenant: Tenant,
        change: Option<(Kind, bool)>,
        reply: oneshot::Sender<Result<Vec<Kind>, CallError>>,
    },
    /// Read a task.
    Get {
        tenant: Tenant,
        task: TaskId,
        responder: Responder,
    },
    /// Read a page of at most `count` tasks.
    List {
        search: Search,
        count: usize,
        reply: oneshot::Sender<Result<TaskPage, CallError>>,
    },
    /// Count tasks by state.
    Count {
        filter: Filter,
        reply: oneshot::Sender<Result<TaskCounts, CallError>>,
    },
    /// Follow a task.
    Watch {
        tenant: Tenant,
        task: TaskId,
        reply: oneshot::Sender<Result<TaskUpdates, CallError>>,
    },
}

/// A page of tasks.
#[derive(Debug)]
pub(crate) struct TaskPage {
    /// The tasks, in the order of the search.
    pub tasks: Vec<TaskView>,
    /// True when more follow.
    pub more: bool,
}

/// Numbers of tasks by state; states without a task are absent.
pub(crate) type TaskCounts = BTreeMap<State, u64>;

/// Something that happened in a worker's session.
pub(crate) enum SessionEvent {
    /// It was opened.
    Opened {
        hello: SessionHello,
        commands: mpsc::Sender<WorkerCommand>,
    },
    /// The worker is alive.
    Heartbeat,
    /// An attempt has reported [`Progress`], with a checkpoint if it has one.
    Progress {
        attempt: AttemptId,
        progress: Progress,
        checkpoint: Option<Payload>,
    },
    /// The worker takes nothing new.
    Draining,
    /// An attempt has ended.
    Reported {
        attempt: AttemptId,
        outcome: AttemptOutcome,
    },
    /// The stream has ended.
    Closed,
}

/// First message of a session: the worker and its attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionHello {
    /// Its instance.
    pub worker: InstanceId,
    /// Number of attempts that it runs at once.
    pub slots: u32,
    /// The kinds that it runs.
    pub kinds: BTreeSet<Kind>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Attempts that it still runs, or whose reports have not been acknowledged.
    pub running: Vec<AttemptId>,
    /// Those of them that have ended.
    pub ended: Vec<AttemptId>,
}

/// End of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AttemptOutcome {
    /// It delivered.
    Output(Payload),
    /// It failed, and another attempt may help or not.
    Failure { error: TaskError, retryable: bool },
    /// Its worker drains and hands it back.
    Returned,
}

/// A message of the leader to a worker.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum WorkerCommand {
    /// The session is open.
    Welcome { epoch: Epoch, mark: Mark },
    /// The leader is alive.
    Heartbeat { mark: Mark },
    /// Run an attempt.
    Assign {
        task: Arc<Task>,
        attempt: AttemptId,
        /// Time left until the task's deadline.
        deadline_in: Option<Duration>,
    },
    /// Stop an attempt.
    Stop(AttemptId),
    /// A report has committed, accepted or refused for a [`Reason`].
    Settled {
        attempt: AttemptId,
        refused: Option<Reason>,
    },
}
