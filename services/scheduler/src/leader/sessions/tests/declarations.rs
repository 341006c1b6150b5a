//! A worker that comes back, or meets a new leader, declares its attempts.

use super::*;

fn stops(releases: &[Release]) -> Vec<AttemptId> {
    let stop = |release: &Release| match release {
        Release::Effect(Effect::Stop { attempt, .. }) => *attempt,
        _ => panic!("another release"),
    };
    releases.iter().map(stop).collect()
}

#[test]
fn a_new_leader_adopts_what_workers_declare() {
    let mut stage = Stage::running(2, &[1, 2]);
    let (releases, _commands) = stage.join(1, hello("a", &[attempt(1, 1), attempt(2, 1)]), 3_000);
    assert!(releases.is_empty());
    stage.tick(5_000);
    assert_eq!(
        (stage.state(1), stage.state(2), stage.sessions.running()),
        (State::Running, State::Running, 2)
    );
}

#[test]
fn what_nobody_declares_after_a_takeover_is_lost_and_not_before() {
    let mut stage = Stage::running(1, &[1]);
    stage.tick(4_999);
    assert_eq!(stage.state(1), State::Running);
    stage.tick(5_000);
    assert_eq!(stage.state(1), State::Pending);
}

#[test]
fn a_start_that_never_reached_the_journal_is_recorded() {
    let mut stage = Stage::running(1, &[]);
    let (releases, _commands) = stage.join(1, hello("a", &[attempt(1, 1)]), 0);
    assert!(releases.is_empty());
    assert_eq!((stage.state(1), stage.sessions.running()), (State::Running, 1));
    assert!(matches!(stage.bench.send(at(0)), WriteRequest::Append(draft) if draft.events.len() == 1));
}

#[test]
fn an_attempt_without_use_is_stopped_once_that_is_proved() {
    let mut stage = Stage::running(1, &[1]);
    let (releases, mut commands) = stage.join(1, hello("b", &[attempt(1, 1), attempt(9, 1)]), 0);
    assert_eq!(
        stops(&releases),
        [attempt(1, 1), attempt(9, 1)],
        "one runs elsewhere, one is of no task"
    );
    let sent = received(&mut commands);
    assert!(matches!(sent[..], [WorkerCommand::Welcome { .. }]), "not yet: {sent:?}");
    assert_eq!(stage.sessions.running(), 0);
    stage.sessions.stop(&worker("b"), attempt(9, 1));
    assert_eq!(received(&mut commands), [WorkerCommand::Stop(attempt(9, 1))]);
}

#[test]
fn an_attempt_that_its_worker_does_not_declare_is_lost_at_once() {
    let mut stage = Stage::running(2, &[1, 2]);
    let (_releases, _commands) = stage.join(1, hello("a", &[attempt(2, 1)]), 0);
    stage.tick(0);
    assert_eq!((stage.state(1), stage.state(2)), (State::Pending, State::Running));
}

#[test]
fn a_task_whose_report_is_announced_is_held_for_it() {
    let mut stage = Stage::running(1, &[1]);
    let lost = Command::Lose {
        attempt: attempt(1, 1),
        worker: worker("a"),
        alone: false,
        checkpoint: None,
    };
    stage.bench.execute(lost, at(0));
    let ended = SessionHello {
        ended: vec![attempt(1, 1)],
        ..hello("a", &[attempt(1, 1)])
    };
    let (releases, _commands) = stage.join(1, ended, 0);
    assert!(releases.is_empty(), "it is not stopped");
    let task = stage
        .bench
        .decider
        .ledger()
        .task(&TaskId::from_u128(1))
        .cloned()
        .expect("it is kept");
    stage.ready.enqueue(&task, at(0));
    assert!(stage.ready.is_empty());
    assert!(stage.tick(1_999).is_empty());
    let resumed = stage.tick(2_000);
    assert!(matches!(resumed[..], [Release::Effect(Effect::Enqueue(_))]));
    stage.ready.enqueue(&task, at(2_000));
    assert_eq!(stage.ready.len(), 1);
}
