//! Ready tasks meet free slots.

use lepton_domain::ids::TaskId;
use lepton_domain::task::State;

use super::*;
use crate::leader::fixtures::{Bench, at, attempt, submission};
use crate::leader::sessions::tests::{Stage, hello, received};
use crate::message::WorkerCommand;

fn assign_now(stage: &mut Stage) {
    let Bench { decider, .. } = &mut stage.bench;
    assign(decider, &mut stage.sessions, &mut stage.ready, at(0));
}

/// Tasks 1 to `count`, committed and in the queue.
fn queued(count: u128, run_once: bool) -> Stage {
    let mut stage = Stage::after([]);
    for number in 1..=count {
        let mut submission = submission(number);
        submission.spec.run_once = run_once;
        stage.bench.execute(Command::Submit(submission), at(0));
    }
    stage.bench.commit(at(0));
    for task in stage.bench.decider.ledger().pending() {
        stage.ready.enqueue(task, at(0));
    }
    stage
}

fn assigned(commands: &[WorkerCommand]) -> Vec<AttemptId> {
    let assigned = |command: &WorkerCommand| match command {
        WorkerCommand::Assign { attempt, .. } => Some(*attempt),
        _ => None,
    };
    commands.iter().filter_map(assigned).collect()
}

#[test]
fn free_slots_are_filled_and_no_more() {
    let mut stage = queued(3, false);
    let (_releases, mut commands) = stage.join(1, hello("a", &[]), 0);
    assign_now(&mut stage);
    assert_eq!(assigned(&received(&mut commands)), [attempt(1, 1), attempt(2, 1)]);
    assert_eq!((stage.sessions.running(), stage.ready.len()), (2, 1));
    assert_eq!((stage.state(1), stage.state(3)), (State::Running, State::Pending));
}

#[test]
fn the_least_loaded_worker_comes_first() {
    let mut stage = queued(2, false);
    let (_releases, mut a) = stage.join(1, hello("a", &[]), 0);
    let (_releases, mut b) = stage.join(2, hello("b", &[]), 0);
    assign_now(&mut stage);
    assert_eq!(assigned(&received(&mut a)).len(), 1);
    assert_eq!(assigned(&received(&mut b)).len(), 1);
}

#[test]
fn an_attempt_that_may_run_only_once_waits_for_its_start() {
    let mut stage = queued(1, true);
    let (_releases, mut commands) = stage.join(1, hello("a", &[]), 0);
    assign_now(&mut stage);
    assert_eq!((stage.state(1), stage.sessions.running()), (State::Running, 1));
    assert!(assigned(&received(&mut commands)).is_empty());
    let releases = stage.bench.commit(at(3));
    let dispatch = releases.iter().find_map(|release| match release {
        Release::Dispatch { number, attempt } => Some((*number, *attempt)),
        _ => None,
    });
    assert_eq!(dispatch, Some((1, attempt(1, 1))));
}

#[test]
fn a_ticket_of_a_cancelled_task_starts_nothing() {
    let mut stage = queued(1, false);
    let cancel = Command::Cancel {
        task: TaskId::from_u128(1),
        message: String::new(),
    };
    stage.bench.execute(cancel, at(0));
    let (_releases, mut commands) = stage.join(1, hello("a", &[]), 0);
    assign_now(&mut stage);
    assert!(assigned(&received(&mut commands)).is_empty());
    assert_eq!((stage.free(), stage.ready.len()), (vec![2], 0));
}

#[test]
fn nothing_starts_while_etcd_does_not_answer() {
    let mut stage = queued(1, false);
    let (_releases, _commands) = stage.join(1, hello("a", &[]), 0);
    stage.bench.submit(9, at(0));
    stage.bench.send(at(0));
    let Bench { decider, .. } = &mut stage.bench;
    assign(decider, &mut stage.sessions, &mut stage.ready, at(1_000));
    assert_eq!((stage.state(1), stage.ready.len()), (State::Pending, 1));
}
