//! Credits, draining, silence and the grace of a session; the rest is in its parts.

use lepton_domain::ids::{Kind, TaskId};
use lepton_domain::ledger::Rejection;
use lepton_domain::reason::Reason;
use lepton_domain::task::{Payload, State, TaskError};

use super::*;
use crate::leader::commit_pipeline::WriteRequest;
use crate::leader::fixtures::{Bench, at, attempt, start, submission, worker};

mod declarations;
mod reports;

/// Sessions in front of a decider, by a clock that the test sets.
pub struct Stage {
    pub bench: Bench,
    pub ready: ReadyQueue,
    pub sessions: Sessions,
}

/// A worker's end of its session.
pub type Commands = mpsc::Receiver<WorkerCommand>;

pub fn hello(name: &str, running: &[AttemptId]) -> SessionHello {
    SessionHello {
        worker: worker(name),
        slots: 2,
        kinds: [Kind::new("echo")].into(),
        labels: BTreeMap::new(),
        running: running.to_vec(),
        ended: Vec::new(),
    }
}

impl Stage {
    /// A takeover of the ledger after these commands.
    pub fn after(commands: impl IntoIterator<Item = Command>) -> Self {
        let bench = Bench::after(commands);
        Self {
            sessions: Sessions::new(at(0), Mark::default(), bench.decider.ledger()),
            ready: ReadyQueue::default(),
            bench,
        }
    }

    /// Tasks 1 to `count`; those in `running` run as attempt 1 on worker `a`.
    pub fn running(count: u128, running: &[u128]) -> Self {
        let submits = (1..=count).map(|number| Command::Submit(submission(number)));
        let starts = running.iter().map(|task| start(attempt(*task, 1), &worker("a")));
        Self::after(submits.chain(starts))
    }

    pub fn handle(&mut self, number: SessionNumber, event: SessionEvent, millis: u64) -> Vec<Release> {
        let Bench { decider, .. } = &mut self.bench;
        self.sessions
            .handle(number, event, decider, &mut self.ready, at(millis))
    }

    /// Opens a session, and returns what it releases and the worker's end.
    pub fn join(&mut self, number: SessionNumber, hello: SessionHello, millis: u64) -> (Vec<Release>, Commands) {
        let (commands, received) = mpsc::channel(16);
        let releases = self.handle(number, SessionEvent::Opened { hello, commands }, millis);
        (releases, received)
    }

    pub fn tick(&mut self, millis: u64) -> Vec<Release> {
        let Bench { decider, .. } = &mut self.bench;
        self.sessions.tick(decider, &mut self.ready, at(millis))
    }

    /// State of a task in the ledger.
    pub fn state(&self, number: u128) -> State {
        let task = self.bench.decider.ledger().task(&TaskId::from_u128(number));
        task.expect("it is kept").state
    }

    pub fn free(&self) -> Vec<u32> {
        let free = self.sessions.free_nodes().into_iter();
        free.map(|node| node.capacity - node.used).collect()
    }
}

/// Everything that a worker has been sent, but for heartbeats.
pub fn received(commands: &mut Commands) -> Vec<WorkerCommand> {
    let mut received = Vec::new();
    while let Ok(command) = commands.try_recv() {
        if !matches!(command, WorkerCommand::Heartbeat { .. }) {
            received.push(command);
        }
    }
    received
}

#[test]
fn a_session_is_welcomed_in_the_leaders_epoch() {
    let mut stage = Stage::after([]);
    let (releases, mut commands) = stage.join(1, hello("a", &[]), 0);
    assert!(releases.is_empty());
    let epoch = stage.bench.decider.epoch();
    let mark = Mark::default();
    assert_eq!(received(&mut commands), [WorkerCommand::Welcome { epoch, mark }]);
}

#[test]
fn a_worker_gets_no_more_attempts_than_it_has_slots() {
    let mut stage = Stage::after([]);
    let (_releases, _commands) = stage.join(1, hello("a", &[]), 0);
    let a = worker("a");
    assert_eq!(stage.free(), [2]);
    assert!(stage.sessions.take_slot(&a, attempt(1, 1), false) && stage.sessions.take_slot(&a, attempt(2, 1), false));
    assert!(stage.free().is_empty());
    assert!(!stage.sessions.take_slot(&a, attempt(3, 1), false));
    assert_eq!(stage.sessions.running(), 2);
    stage.sessions.stop(&a, attempt(1, 1));
    assert_eq!(stage.free(), [1]);
    assert!(
        !stage.sessions.take_slot(&worker("b"), attempt(3, 1), false),
        "it has no session"
    );
}

#[test]
fn a_draining_worker_gets_nothing_new_and_keeps_what_it_has() {
    let mut stage = Stage::running(1, &[1]);
    let (_releases, _commands) = stage.join(1, hello("a", &[attempt(1, 1)]), 0);
    assert_eq!(stage.free(), [1]);
    stage.handle(1, SessionEvent::Draining, 0);
    assert!(stage.free().is_empty());
    assert!(!stage.sessions.take_slot(&worker("a"), attempt(2, 1), false));
    stage.tick(3_000);
    assert_eq!((stage.state(1), stage.sessions.running()), (State::Running, 1));
}

#[test]
fn the_attempts_of_an_ended_session_are_lost_after_its_grace() {
    let mut stage = Stage::running(1, &[1]);
    let (_releases, _commands) = stage.join(1, hello("a", &[attempt(1, 1)]), 0);
    stage.handle(1, SessionEvent::Closed, 10);
    stage.tick(10);
    assert!(stage.free().is_empty(), "the session is gone at once");
    stage.tick(309);
    assert_eq!(stage.state(1), State::Running);
    stage.tick(310);
    assert_eq!(stage.state(1), State::Pending);
}

#[test]
fn a_worker_that_is_back_in_time_keeps_its_attempts() {
    let mut stage = Stage::running(2, &[1, 2]);
    let both = [attempt(1, 1), attempt(2, 1)];
    let (_releases, _commands) = stage.join(1, hello("a", &both), 0);
    stage.handle(1, SessionEvent::Closed, 10);
    stage.tick(10);
    let (releases, mut commands) = stage.join(2, hello("a", &both[..1]), 200);
    assert!(releases.is_empty() && received(&mut commands).len() == 1);
    stage.tick(3_000);
    assert_eq!(stage.state(1), State::Running);
    assert_eq!(
        stage.state(2),
        State::Pending,
        "the one that it came back without is lost"
    );
}

#[test]
fn the_end_of_a_replaced_stream_ends_nothing() {
    let mut stage = Stage::running(1, &[1]);
    let declared = hello("a", &[attempt(1, 1)]);
    let (_releases, _old) = stage.join(1, declared.clone(), 0);
    let (_releases, _new) = stage.join(2, declared, 5);
    stage.handle(1, SessionEvent::Closed, 10);
    stage.tick(10);
    stage.tick(1_000);
    assert_eq!((stage.state(1), stage.sessions.running()), (State::Running, 1));
    assert_eq!(stage.sessions.number_of(&worker("a")), Some(2));
}

#[test]
fn a_silent_worker_loses_its_session() {
    let mut stage = Stage::running(1, &[1]);
    let (_releases, _commands) = stage.join(1, hello("a", &[attempt(1, 1)]), 0);
    stage.handle(1, SessionEvent::Heartbeat, 1_000);
    stage.tick(5_000);
    assert_eq!(stage.sessions.running(), 1, "it was alive four seconds ago");
    stage.tick(5_500);
    assert_eq!(stage.sessions.running(), 0);
    stage.tick(5_800);
    assert_eq!(stage.state(1), State::Pending);
}

#[test]
fn workers_get_heartbeats_with_the_committed_mark() {
    let mut stage = Stage::after([]);
    let (_releases, mut commands) = stage.join(1, hello("a", &[]), 0);
    let mark = Mark {
        segment: 8,
        ..Mark::default()
    };
    stage.sessions.committed(mark.clone());
    stage.tick(499);
    assert_eq!(received(&mut commands).len(), 1, "the welcome");
    assert!(commands.try_recv().is_err());
    stage.tick(500);
    assert_eq!(commands.try_recv(), Ok(WorkerCommand::Heartbeat { mark }));
    stage.tick(999);
    assert!(commands.try_recv().is_err());
}

#[test]
fn a_worker_that_does_not_read_loses_its_session() {
    let mut stage = Stage::running(1, &[1]);
    let (_releases, _commands) = stage.join(1, hello("a", &[attempt(1, 1)]), 0);
    // The welcome is in the queue of 16 already.
    (0..15).for_each(|number| stage.sessions.stop(&worker("a"), attempt(9, number + 1)));
    assert_eq!(stage.sessions.running(), 1);
    stage.sessions.stop(&worker("a"), attempt(9, 99));
    assert_eq!(stage.sessions.running(), 0);
    stage.tick(0);
    stage.tick(300);
    assert_eq!(stage.state(1), State::Pending);
}

#[test]
fn an_attempt_is_dispatched_with_what_is_left_of_its_deadline() {
    let mut stage = Stage::after([]);
    let mut timed = submission(1);
    timed.spec.deadline = Some(at(5_000).journal);
    stage.bench.execute(Command::Submit(timed), at(0));
    stage.bench.execute(start(attempt(1, 1), &worker("a")), at(0));
    let (_releases, mut commands) = stage.join(1, hello("a", &[attempt(1, 1)]), 0);
    received(&mut commands);
    stage
        .sessions
        .dispatch(1, attempt(1, 1), stage.bench.decider.ledger(), at(2_000));
    let sent = received(&mut commands);
    let [WorkerCommand::Assign { deadline_in, .. }] = &sent[..] else {
        panic!("{sent:?}");
    };
    assert_eq!(*deadline_in, Some(Duration::from_secs(3)));
    stage
        .sessions
        .dispatch(1, attempt(1, 2), stage.bench.decider.ledger(), at(2_000));
    assert!(received(&mut commands).is_empty(), "another attempt does not run");
}
