//! The ledger's rules, one by one where a transcript would hide the point, and its properties under random commands.

use std::time::Duration;

use super::*;
use crate::ids::{AttemptId, ContentDigest, Kind};
use crate::reason::{Code, Reason};
use crate::task::{Content, Encoding, Payload, Spec, State, TaskError};

mod properties;
mod rules;
mod searches;

const SECOND: u64 = 1_000_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000 * SECOND + seconds * SECOND)
}

fn id(number: u128) -> TaskId {
    TaskId::from_u128(number)
}

fn attempt(task: u128, number: u32) -> AttemptId {
    AttemptId { task: id(task), number }
}

fn worker(number: u32) -> InstanceId {
    InstanceId::new(format!("worker-{number}"))
}

fn submission(task: u128, request: &str) -> Submission {
    Submission {
        id: id(task),
        tenant: Tenant::new("default"),
        request_id: RequestId::new(request),
        content_digest: ContentDigest([1; 32]),
        spec: Spec::new(Kind::new("echo"), Payload::json("1")),
        traceparent: None,
        retry_of: None,
    }
}

fn error(text: &str) -> TaskError {
    TaskError {
        code: Code::Internal,
        reason: Reason::HandlerFailed.as_str().to_owned(),
        message: text.to_owned(),
    }
}

/// A ledger with what happened to it, so that it can be played again.
struct World {
    ledger: Ledger,
    policy: Policy,
    journal: Vec<(Epoch, Timestamp, Event)>,
    clock: Timestamp,
}

impl World {
    /// A world in which epoch 1 has been opened.
    fn new() -> Self {
        let mut world = Self {
            ledger: Ledger::new(),
            policy: Policy::default(),
            journal: Vec::new(),
            clock: at(0),
        };
        world.open_epoch(1);
        world
    }

    fn open_epoch(&mut self, epoch: u64) {
        self.ledger.begin(Epoch(epoch), self.clock);
        self.run(Command::OpenEpoch {
            leader: InstanceId::new("scheduler"),
        })
        .unwrap();
    }

    fn wait(&mut self, delay: Duration) {
        self.clock = self.clock.plus(delay);
        self.ledger.begin(self.ledger.epoch(), self.clock);
    }

    fn run(&mut self, command: Command) -> Result<(Vec<Event>, Vec<Effect>), Rejection> {
        let events = decide(&self.ledger, &self.policy, command, self.clock)?;
        let mut effects = Vec::new();
        for event in &events {
            effects.extend(apply(&mut self.ledger, event).unwrap());
            self.journal
                .push((self.ledger.epoch(), self.ledger.now(), event.clone()));
        }
        Ok((events, effects))
    }

    fn submit(&mut self, submission: Submission) -> Result<(), Rejection> {
        self.run(Command::Submit(Box::new(submission))).map(drop)
    }

    fn start(&mut self, task: u128, number: u32, by: u32) -> Result<(), Rejection> {
        self.run(Command::Start {
            attempt: attempt(task, number),
            worker: worker(by),
        })
        .map(drop)
    }

    fn succeed(&mut self, task: u128, number: u32, by: u32) -> Result<Vec<Effect>, Rejection> {
        let output = Payload::json("2");
        let command = Command::Succeed {
            attempt: attempt(task, number),
            worker: worker(by),
            output,
        };
        self.run(command).map(|(_, effects)| effects)
    }

    fn lose(&mut self, task: u128, number: u32, by: u32) -> Result<Vec<Event>, Rejection> {
        self.run(Command::Lose {
            attempt: attempt(task, number),
            worker: worker(by),
            alone: false,
            checkpoint: None,
        })
        .map(|(events, _)| events)
    }

    fn task(&self, number: u128) -> &Task {
        self.ledger.task(&id(number)).unwrap()
    }

    fn replayed(&self) -> Ledger {
        let mut fresh = Ledger::new();
        for (epoch, time, event) in &self.journal {
            fresh.begin(*epoch, *time);
            apply(&mut fresh, event).unwrap();
        }
        fresh.begin(self.ledger.epoch(), self.ledger.now());
        fresh
    }
}

fn recomputed(ledger: &Ledger) -> StateDigest {
    let mut digest = StateDigest::EMPTY;
    ledger.tasks().for_each(|task| digest.add(&StateDigest::of(task)));
    digest
}
