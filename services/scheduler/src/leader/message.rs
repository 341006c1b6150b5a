//! What the leader's task is sent, and how it answers.
//!
//! Promises: every answer is used at most once; an answer that is dropped unused tells its caller that the leader has
//! gone. Leaves wire forms to `intake`, `query` and `session::stream`.

use std::sync::Arc;

use lepton_domain::ids::{AttemptId, InstanceId, Kind, Seq, TaskId, Tenant};
use lepton_domain::ledger::Submission;
use lepton_domain::reason::Fault;
use lepton_domain::task::{Payload, State, Task, TaskError};
use lepton_proto::journal::v1::Mark;
use lepton_proto::task::v1::Progress;
use tokio::sync::{mpsc, oneshot, watch};

use crate::session::stream::Outgoing;

/// A task as it is shown.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Its record at a committed position.
    pub task: Arc<Task>,
    /// How far its running attempt is, as far as it says.
    pub progress: Option<Arc<Progress>>,
}

/// Called once with the task as it is at the position that the answer depends on.
pub(crate) type Answer = Box<dyn FnOnce(Result<Seen, Fault>) + Send>;

/// Names one connection of a worker; a worker that comes back gets a new number.
pub(crate) type SessionNumber = u64;

/// Everything that reaches the leader's task.
pub(crate) enum Message {
    /// Take a task.
    Submit {
        submission: Box<Submission>,
        answer: Answer,
    },
    /// Withdraw a task of this tenant.
    Cancel {
        tenant: Tenant,
        task: TaskId,
        message: String,
        answer: Answer,
    },
    /// Read a task of this tenant.
    Get {
        tenant: Tenant,
        task: TaskId,
        answer: Answer,
    },
    /// Read a page of tasks.
    List {
        filter: Filter,
        answer: oneshot::Sender<Result<Page, Fault>>,
    },
    /// Follow a task of this tenant.
    Watch {
        tenant: Tenant,
        task: TaskId,
        answer: oneshot::Sender<Result<Watched, Fault>>,
    },
    /// A worker opened a session.
    Opened {
        number: SessionNumber,
        hello: Hello,
        outgoing: mpsc::Sender<Outgoing>,
    },
    /// A worker gave a sign of life.
    Heard { number: SessionNumber },
    /// An attempt says how far it is.
    Advanced {
        number: SessionNumber,
        attempt: AttemptId,
        progress: Progress,
    },
    /// A worker takes nothing new.
    Draining { number: SessionNumber },
    /// An attempt ended.
    Reported {
        number: SessionNumber,
        attempt: AttemptId,
        outcome: Outcome,
    },
    /// A worker's stream ended.
    Closed { number: SessionNumber },
    /// There is a sign that another leads.
    Doubted,
    /// Somebody has seen the journal up to here.
    Marked(Mark),
}

/// Which tasks to list.
pub(crate) struct Filter {
    /// Whose.
    pub tenant: Tenant,
    /// Only tasks whose first event is before this one.
    pub before: Option<Seq>,
    /// At most this many.
    pub count: usize,
    /// Only in this state.
    pub state: Option<State>,
    /// Only of this kind.
    pub kind: Option<Kind>,
}

/// A page of tasks, newest first.
pub(crate) struct Page {
    /// The tasks.
    pub tasks: Vec<Arc<Task>>,
    /// Where the next page begins; none after the last.
    pub next: Option<Seq>,
}

/// A followed task: the channel holds its latest committed state and closes when the leader goes.
pub(crate) type Watched = watch::Receiver<Seen>;

/// Who a worker is.
pub(crate) struct Hello {
    /// Its instance.
    pub worker: InstanceId,
    /// How many attempts it runs at once.
    pub slots: u32,
    /// The kinds that it runs.
    pub kinds: std::collections::BTreeSet<Kind>,
    /// Its labels.
    pub labels: std::collections::BTreeMap<String, String>,
    /// What it still runs, or has not had acknowledged.
    pub running: Vec<AttemptId>,
    /// Those of them that have ended.
    pub ended: Vec<AttemptId>,
}

/// How an attempt ended.
pub(crate) enum Outcome {
    /// With an output.
    Output(Payload),
    /// With an error, and whether trying again may help.
    Failure { error: TaskError, retryable: bool },
}
