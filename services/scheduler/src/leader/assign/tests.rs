//! Ready tasks meet free slots.

use lepton_domain::ids::TaskId;
use lepton_domain::task::{Payload, State};

use super::*;
use crate::leader::fixtures::{Bench, at, attempt, start, submission, worker};
use crate::leader::sessions::tests::{Stage, hello, received};
use crate::message::{AttemptOutcome, SessionEvent, WorkerCommand};

fn assign_now(stage: &mut Stage) {
    assign_at(stage, 0);
}

fn assign_at(stage: &mut Stage, millis: u64) {
    let Bench { decider, .. } = &mut stage.bench;
    assign(decider, &mut stage.sessions, &mut stage.ready, at(millis));
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

/// Tasks 1 to `count`, all of which were lost once with a worker, in a journal that keeps histories.
fn suspects(count: u128) -> Stage {
    let mut stage = Stage::after([]);
    stage.bench.execute(Command::ActivateFormat { format: 2 }, at(0));
    for number in 1..=count {
        let attempt = attempt(number, 1);
        stage.bench.execute(Command::Submit(submission(number)), at(0));
        stage.bench.execute(start(attempt, &worker("gone")), at(0));
        stage.bench.execute(lost(attempt), at(0));
    }
    stage.bench.commit(at(0));
    for task in stage.bench.decider.ledger().pending() {
        stage.ready.enqueue(task, at(0));
    }
    stage
}

fn lost(attempt: AttemptId) -> Command {
    Command::Lose {
        attempt,
        worker: worker("gone"),
        alone: false,
        checkpoint: None,
    }
}

/// Adds a task that was never lost.
fn add(stage: &mut Stage, number: u128) {
    stage.bench.execute(Command::Submit(submission(number)), at(0));
    let task = stage.bench.decider.ledger().task(&TaskId::from_u128(number)).cloned();
    stage.ready.enqueue(&task.expect("it was taken"), at(0));
}

fn succeed(stage: &mut Stage, session: u64, attempt: AttemptId) {
    let outcome = AttemptOutcome::Output(Payload::json("1"));
    stage.handle(session, SessionEvent::Reported { attempt, outcome }, 1);
}

#[test]
fn suspects_run_alone_and_leave_a_worker_to_the_others() {
    let mut stage = suspects(2);
    let (_releases, mut a) = stage.join(1, hello("a", &[]), 0);
    let (_releases, mut b) = stage.join(2, hello("b", &[]), 0);
    for number in 3..=5 {
        add(&mut stage, number);
    }
    assign_now(&mut stage);
    let (to_a, to_b) = (assigned(&received(&mut a)), assigned(&received(&mut b)));
    assert_eq!(to_a, [attempt(1, 2)], "alone, though there are two slots");
    assert_eq!(
        to_b,
        [attempt(3, 1), attempt(4, 1)],
        "half of the workers is for the others"
    );
    succeed(&mut stage, 1, attempt(1, 2));
    assign_now(&mut stage);
    assert_eq!(assigned(&received(&mut a)), [attempt(2, 2)]);
    assert!(assigned(&received(&mut b)).is_empty());
    succeed(&mut stage, 1, attempt(2, 2));
    assign_now(&mut stage);
    assert_eq!(assigned(&received(&mut a)), [attempt(5, 1)], "its slots are back");
}

#[test]
fn the_worker_that_becomes_idle_is_one_that_suits_the_suspect() {
    let mut stage = Stage::after([]);
    let mut with_label = hello("b", &[]);
    with_label.labels = [("gpu".to_owned(), "yes".to_owned())].into();
    let (_releases, mut a) = stage.join(1, hello("a", &[]), 0);
    let (_releases, mut b) = stage.join(2, with_label, 0);
    stage.bench.execute(Command::ActivateFormat { format: 2 }, at(0));
    let mut suspect = submission(9);
    suspect.spec.requirements = [("gpu".to_owned(), "yes".to_owned())].into();
    stage.bench.execute(Command::Submit(suspect), at(0));
    stage.bench.execute(start(attempt(9, 1), &worker("gone")), at(0));
    stage.bench.execute(lost(attempt(9, 1)), at(0));
    for number in 1..=3 {
        add(&mut stage, number);
    }
    assign_now(&mut stage);
    let (on_a, on_b) = (assigned(&received(&mut a)), assigned(&received(&mut b)));
    assert_eq!((on_a.len(), on_b.len()), (2, 1));
    let task = stage.bench.decider.ledger().task(&TaskId::from_u128(9)).cloned();
    stage.ready.enqueue(&task.expect("it waits"), at(0));
    add(&mut stage, 4);
    assign_now(&mut stage);
    assert!(assigned(&received(&mut b)).is_empty(), "its free slot is kept free");
    succeed(&mut stage, 2, on_b[0]);
    assign_now(&mut stage);
    assert_eq!(assigned(&received(&mut b)), [attempt(9, 2)]);
}

#[test]
fn a_busy_worker_becomes_idle_for_a_suspect() {
    let mut stage = Stage::after([]);
    let (_releases, mut a) = stage.join(1, hello("a", &[]), 0);
    stage.bench.execute(Command::ActivateFormat { format: 2 }, at(0));
    add(&mut stage, 1);
    assign_now(&mut stage);
    assert_eq!(assigned(&received(&mut a)), [attempt(1, 1)]);
    stage.bench.execute(Command::Submit(submission(2)), at(0));
    stage.bench.execute(start(attempt(2, 1), &worker("gone")), at(0));
    stage.bench.execute(lost(attempt(2, 1)), at(0));
    let task = stage.bench.decider.ledger().task(&TaskId::from_u128(2)).cloned();
    stage.ready.enqueue(&task.expect("it waits"), at(0));
    add(&mut stage, 3);
    assign_now(&mut stage);
    assert!(assigned(&received(&mut a)).is_empty(), "the free slot is kept free");
    succeed(&mut stage, 1, attempt(1, 1));
    assign_now(&mut stage);
    assert_eq!(assigned(&received(&mut a)), [attempt(2, 2)]);
    succeed(&mut stage, 1, attempt(2, 2));
    assign_now(&mut stage);
    assert_eq!(assigned(&received(&mut a)), [attempt(3, 1)]);
}

#[test]
fn only_the_loss_of_a_worker_that_a_suspect_had_for_itself_condemns_it() {
    let mut stage = suspects(1);
    for (session, losses) in [(1, 2), (2, 3)] {
        let (_releases, mut commands) = stage.join(session, hello("a", &[]), 0);
        assign_now(&mut stage);
        assert_eq!(assigned(&received(&mut commands)).len(), 1);
        stage.handle(session, SessionEvent::Closed, 1);
        stage.tick(1);
        stage.tick(1_000);
        let ledger = stage.bench.decider.ledger();
        let task = ledger.task(&TaskId::from_u128(1)).cloned().expect("it is kept");
        assert_eq!((task.losses, task.lone_losses()), (losses, 1.min(losses - 1)));
        if losses < 3 {
            stage.ready.enqueue(&task, at(1_000));
        } else {
            assert_eq!(task.state, State::Failed);
        }
    }
}

#[test]
fn a_worker_that_is_back_without_the_suspect_that_it_ran_alone_has_lost_it_alone() {
    let mut stage = suspects(1);
    let (_releases, mut commands) = stage.join(1, hello("a", &[]), 0);
    assign_now(&mut stage);
    assert_eq!(assigned(&received(&mut commands)), [attempt(1, 2)]);
    stage.handle(1, SessionEvent::Closed, 1);
    let (_releases, _commands) = stage.join(2, hello("a", &[]), 50);
    stage.tick(50);
    let ledger = stage.bench.decider.ledger();
    let task = ledger.task(&TaskId::from_u128(1)).expect("it is kept");
    assert_eq!((task.losses, task.lone_losses()), (2, 1));
}

#[test]
fn a_task_that_was_lost_once_does_not_wait_in_line_for_long() {
    let mut stage = suspects(3);
    let (_releases, mut a) = stage.join(1, hello("a", &[]), 0);
    let (_releases, mut b) = stage.join(2, hello("b", &[]), 0);
    assign_at(&mut stage, 4_000);
    assert_eq!(assigned(&received(&mut a)), [attempt(1, 2)]);
    assert!(
        assigned(&received(&mut b)).is_empty(),
        "half of the workers is for the others"
    );
    assign_at(&mut stage, 5_000);
    assert_eq!(
        assigned(&received(&mut b)),
        [attempt(2, 2), attempt(3, 2)],
        "beside each other"
    );
    stage.handle(1, SessionEvent::Heartbeat, 5_000);
    stage.handle(2, SessionEvent::Closed, 5_000);
    stage.tick(5_000);
    stage.tick(6_000);
    let lost: Vec<_> = stage.bench.decider.ledger().pending().cloned().collect();
    assert_eq!(lost.len(), 2);
    for task in lost {
        assert_eq!((task.losses, task.lone_losses()), (2, 0));
        stage.ready.enqueue(&task, at(6_000));
    }
    let (_releases, mut c) = stage.join(3, hello("c", &[]), 6_000);
    assign_at(&mut stage, 60_000);
    assert!(
        assigned(&received(&mut c)).is_empty(),
        "after a second loss they wait until they can run alone"
    );
    succeed(&mut stage, 1, attempt(1, 2));
    assign_at(&mut stage, 60_000);
    assert_eq!(assigned(&received(&mut a)).len() + assigned(&received(&mut c)).len(), 1);
}
