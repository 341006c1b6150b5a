//! What callers did and saw, with the simulation's time.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use lepton_proto::task::v1::{State, Task};

use crate::client::History;

/// A state of a task, as an answer showed it.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The task's id.
    pub id: String,
    /// Epoch and seq of its last change.
    pub version: (u64, u64),
    /// The state.
    pub state: State,
    /// How many attempts it took so far.
    pub attempts: u32,
    /// The worker of the last attempt.
    pub worker: String,
    /// Its request id.
    pub request: String,
    /// Whether it has the output that its input asks for.
    pub has_output: bool,
}

impl Observation {
    /// What an answer shows.
    pub fn of(task: &Task) -> Self {
        let version = task
            .version
            .as_ref()
            .map_or((0, 0), |version| (version.epoch, version.seq));
        Self {
            id: task.id.clone(),
            version,
            state: task.state(),
            attempts: task.attempts,
            worker: task.worker.clone(),
            request: task.request_id.clone(),
            has_output: task.result.is_some(),
        }
    }

    /// Whether the task has ended.
    pub fn is_final(&self) -> bool {
        matches!(
            self.state,
            State::Succeeded | State::Failed | State::Cancelled | State::Expired
        )
    }
}

/// What a caller asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Submit under this request id.
    Submit(String),
    /// Submit other content under a request id that was acknowledged before.
    Conflict(String),
    /// Get the task of this id.
    Get(String),
    /// Cancel the task of this id.
    Cancel(String),
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The task.
    Task(Observation),
    /// There is no such task.
    NotFound,
    /// The request id was used with other content.
    Reused,
    /// Anything else: it may have been done or not.
    Unknown(String),
}

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// When it was sent.
    pub start: Duration,
    /// When it was answered, or given up.
    pub end: Duration,
    /// What was asked for.
    pub action: Action,
    /// What came back.
    pub answer: Answer,
}

/// All calls, in the order in which they ended.
pub type Operations = Vec<Operation>;

/// Records calls. Clones share the record.
#[derive(Clone)]
pub struct Ledger {
    history: History,
    operations: Rc<RefCell<Operations>>,
}

impl Ledger {
    /// An empty one that also writes to `history`.
    pub fn new(history: History) -> Self {
        Self {
            history,
            operations: Rc::default(),
        }
    }

    /// Records a call that was sent at `start` and ends now.
    pub fn record(&self, start: Duration, action: Action, answer: Answer) {
        let end = turmoil::sim_elapsed().unwrap_or_default();
        let sent = start.as_secs_f64();
        self.history.note(format_args!("{action:?} of {sent:.3} -> {answer:?}"));
        self.operations.borrow_mut().push(Operation {
            start,
            end,
            action,
            answer,
        });
    }

    /// The request ids that were acknowledged, each with its task's id.
    pub fn acknowledged(&self) -> Vec<(String, String)> {
        let operations = self.operations.borrow();
        let mut found: Vec<_> = operations.iter().filter_map(acknowledged).collect();
        found.sort();
        found.dedup();
        found
    }

    /// The record.
    pub fn take(&self) -> Operations {
        self.operations.take()
    }
}

/// The request id and the task id of an acknowledged submit.
pub fn acknowledged(operation: &Operation) -> Option<(String, String)> {
    match (&operation.action, &operation.answer) {
        (Action::Submit(request), Answer::Task(seen)) => Some((request.clone(), seen.id.clone())),
        _ => None,
    }
}
