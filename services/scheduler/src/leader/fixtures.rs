//! Tasks, ledgers and moments for tests, and a decider whose writes a test finishes itself.

use std::sync::Arc;
use std::time::Duration;

use lepton_domain::ids::{AttemptId, ContentDigest, Epoch, InstanceId, Kind, RequestId, Seq, TaskId, Tenant, Version};
use lepton_domain::ledger::{Command, Ledger, Policy, Submission, apply, decide};
use lepton_domain::task::{Payload, Spec, State, Task};
use lepton_domain::time::Timestamp;
use lepton_proto::journal::v1::Mark;
use tokio::sync::{mpsc, oneshot};

use super::clock::Now;
use super::commit_pipeline::{CommitPipeline, WriteRequest};
use super::decider::Decider;
use super::pending_reason::PendingReasons;
use super::ready_queue::ReadyQueue;
use super::release::Release;
use super::sessions::Sessions;
use crate::config::Tuning;
use crate::error::CallError;
use crate::message::{Call, Responder, TaskView};

/// A record of a task, apart from any ledger.
pub fn task(number: u128, state: State, seq: u64) -> Arc<Task> {
    Arc::new(Task {
        id: TaskId::from_u128(number),
        tenant: tenant(),
        request_id: RequestId::new("r"),
        content_digest: ContentDigest([0; 32]),
        spec: Spec::new(Kind::new("echo"), Payload::json("null")),
        state,
        attempts: 0,
        failures: 0,
        losses: 0,
        attempt: None,
        retry_at: None,
        output: None,
        error: None,
        created: Timestamp::from_micros(1),
        started: None,
        ended: None,
        created_seq: Seq(1),
        version: Version {
            epoch: Epoch(1),
            seq: Seq(seq),
        },
        traceparent: None,
        retry_of: None,
        history: None,
    })
}

/// The tenant of every task here.
pub fn tenant() -> Tenant {
    Tenant::new("default")
}

/// A worker's id.
pub fn worker(name: &str) -> InstanceId {
    InstanceId::new(name)
}

/// An attempt of a task.
pub fn attempt(task: u128, number: u32) -> AttemptId {
    AttemptId {
        task: TaskId::from_u128(task),
        number,
    }
}

/// The moment so many milliseconds after the takeover.
pub fn at(millis: u64) -> Now {
    Now {
        journal: Timestamp::from_micros(1_000_000_000).plus(Duration::from_millis(millis)),
        monotonic: Duration::from_secs(500) + Duration::from_millis(millis),
    }
}

/// A submit of the task with this number.
pub fn submission(number: u128) -> Box<Submission> {
    Box::new(Submission {
        id: TaskId::from_u128(number),
        tenant: tenant(),
        request_id: RequestId::new(format!("r{number}")),
        content_digest: ContentDigest([0; 32]),
        spec: Spec::new(Kind::new("echo"), Payload::json("1")),
        traceparent: None,
        retry_of: None,
    })
}

/// The start of an attempt on a worker.
pub fn start(attempt: AttemptId, worker: &InstanceId) -> Command {
    Command::Start {
        attempt,
        worker: worker.clone(),
    }
}

/// A ledger with an open epoch, after these commands.
pub fn ledger(commands: impl IntoIterator<Item = Command>) -> Ledger {
    let mut ledger = Ledger::new();
    ledger.begin(Epoch(7), at(0).journal);
    let open = Command::OpenEpoch {
        leader: worker("scheduler-1"),
    };
    for command in std::iter::once(open).chain(commands) {
        for event in decide(&ledger, &Policy::default(), command, at(0).journal).expect("it is legal") {
            apply(&mut ledger, &event).expect("it was decided");
        }
    }
    ledger
}

/// A pace and a patience that tests can count on.
pub fn tuning() -> Tuning {
    Tuning {
        append_spacing: Duration::from_millis(2),
        stall_after: Duration::from_secs(1),
        ..Tuning::default()
    }
}

/// A decider with the channel of its writes.
pub struct Bench {
    pub decider: Decider,
    pub requests: mpsc::Receiver<WriteRequest>,
}

impl Bench {
    /// A decider on this ledger.
    pub fn on(ledger: Ledger) -> Self {
        let (pipeline, requests) = CommitPipeline::detached(&tuning());
        let decider = Decider::new(ledger, Policy::default(), pipeline);
        Self { decider, requests }
    }

    /// A decider on the ledger after these commands.
    pub fn after(commands: impl IntoIterator<Item = Command>) -> Self {
        Self::on(ledger(commands))
    }

    /// Executes a command, which must be accepted.
    pub fn execute(&mut self, command: Command, now: Now) {
        self.decider.execute(command, now).expect("it is accepted");
    }

    /// Makes a call whose answer can be awaited, and returns the receiver of that.
    pub fn call(&mut self, call: impl FnOnce(Responder) -> Call, now: Now) -> Answer {
        let (responder, answer) = responder();
        self.decider.call(call(responder), now);
        answer
    }

    /// Submits the task with this number.
    pub fn submit(&mut self, number: u128, now: Now) -> Answer {
        let submission = submission(number);
        self.call(|responder| Call::Submit { submission, responder }, now)
    }

    /// Reads the task with this number.
    pub fn get(&mut self, number: u128, now: Now) -> Answer {
        let (tenant, task) = (tenant(), TaskId::from_u128(number));
        let get = |responder| Call::Get {
            tenant,
            task,
            responder,
        };
        self.call(get, now)
    }

    /// Sends the write that is due, and returns it.
    pub fn send(&mut self, now: Now) -> WriteRequest {
        assert!(self.decider.write_is_due(now), "a write is due");
        self.decider.send(now, |_ledger| None).expect("the ledger is sound");
        self.requests.try_recv().expect("it was sent")
    }

    /// Lets the write in flight succeed: callers are answered, and the other releases returned.
    pub fn complete(&mut self) -> Vec<Release> {
        let completed = self.decider.complete().expect("a write is in flight");
        let sessions = Sessions::new(at(0), Mark::default(), self.decider.ledger());
        let reasons = PendingReasons {
            sessions: &sessions,
            ready: &ReadyQueue::default(),
            now: at(0),
        };
        let mut others = Vec::new();
        for release in completed.releases {
            match release {
                Release::Reply(reply) => self.decider.reply(reply, reasons),
                Release::Publish(task) => self.decider.publish(task, reasons),
                other => others.push(other),
            }
        }
        others
    }

    /// Writes everything that waits, and returns what is released beside answers.
    pub fn commit(&mut self, now: Now) -> Vec<Release> {
        self.send(now);
        self.complete()
    }
}

/// Receiver of one answer.
pub type Answer = oneshot::Receiver<Result<TaskView, CallError>>;

/// A responder, and the receiver of what it is called with.
pub fn responder() -> (Responder, Answer) {
    let (sender, answer) = oneshot::channel();
    (Box::new(|outcome| drop(sender.send(outcome))), answer)
}

/// State of the task in an answer that must be there; `None` while the caller waits.
pub fn state(answer: &mut Answer) -> Option<State> {
    answer
        .try_recv()
        .ok()
        .map(|outcome| outcome.expect("it was answered").task.state)
}

/// The error in an answer that must be a refusal; `None` while the caller waits.
pub fn refusal(answer: &mut Answer) -> Option<CallError> {
    answer
        .try_recv()
        .ok()
        .map(|outcome| outcome.expect_err("it was refused"))
}
