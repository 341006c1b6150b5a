//! What a script acts on: a ledger, a queue, nodes and sessions, and names for tasks.
//!
//! Promises: the same script prints the same; tasks are called by their names in the script. Leaves each subject's
//! commands to its own file.

use std::collections::BTreeMap;
use std::time::Duration;

use lepton_domain::ids::{AttemptId, Epoch, InstanceId, TaskId};
use lepton_domain::ledger::{Event, Ledger, Policy};
use lepton_domain::placement::{Assignment, Problem};
use lepton_domain::queue::Queue;
use lepton_domain::session::Session;
use lepton_domain::time::Timestamp;

use crate::line::Line;
use crate::{ledger, placing, queueing, sessions};

/// 2024-01-01T00:00:00Z, where every script begins.
pub const START: Timestamp = Timestamp::from_micros(1_704_067_200_000_000);

/// The state of a script.
pub struct Fixture {
    names: Vec<String>,
    pub now: Timestamp,
    pub policy: Policy,
    pub ledger: Ledger,
    /// Every event applied, with its segment's epoch and time, for `replay`.
    pub journal: Vec<(Epoch, Timestamp, Event)>,
    pub queue: Queue,
    pub problem: Problem,
    pub assignment: Assignment,
    pub sessions: BTreeMap<InstanceId, Session>,
}

impl Fixture {
    pub fn new() -> Self {
        Self {
            names: Vec::new(),
            now: START,
            policy: Policy::default(),
            ledger: Ledger::new(),
            journal: Vec::new(),
            queue: Queue::new(),
            problem: Problem::default(),
            assignment: Assignment::new(),
            sessions: BTreeMap::new(),
        }
    }

    /// What the commands of one block print. A block that wrote events ends with the digest.
    pub fn run(&mut self, commands: &[String]) -> Vec<String> {
        let before = self.ledger.seq();
        let mut out = Vec::new();
        for command in commands {
            self.command(&Line::parse(command), &mut out);
        }
        if self.ledger.seq() != before {
            let digest = self.ledger.digest().to_string();
            out.push(format!("digest {} at {}", &digest[..16], self.ledger.version()));
        }
        if out.is_empty() {
            out.push("ok".to_owned());
        }
        out
    }

    fn command(&mut self, line: &Line<'_>, out: &mut Vec<String>) {
        let known = ledger::command(self, line, out)
            || queueing::command(self, line, out)
            || placing::command(self, line, out)
            || sessions::command(self, line, out);
        assert!(known, "no command {:?}", line.word(0));
    }

    /// The id of a name; a new name gets the next id.
    pub fn task(&mut self, name: &str) -> TaskId {
        let index = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        TaskId::from_u128(index as u128 + 1)
    }

    pub fn name(&self, id: &TaskId) -> String {
        let index = usize::try_from(id.as_u128()).expect("a script has few tasks") - 1;
        self.names.get(index).cloned().unwrap_or_else(|| id.to_string())
    }

    /// An attempt written as `a/1`.
    pub fn attempt(&mut self, line: &Line<'_>, word: &str) -> AttemptId {
        let (name, number) = word.split_once('/').unwrap_or((word, "1"));
        AttemptId {
            task: self.task(name),
            number: line.parsed(number),
        }
    }

    pub fn attempt_name(&self, attempt: &AttemptId) -> String {
        format!("{}/{}", self.name(&attempt.task), attempt.number)
    }

    pub fn wait(&mut self, delay: Duration) {
        self.now = self.now.plus(delay);
    }
}

/// A time as the script sees it.
pub fn clock(time: Timestamp) -> String {
    format!("+{:?}", time.since(START))
}
