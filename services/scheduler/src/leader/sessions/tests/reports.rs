//! A report frees its slot at once and is acknowledged when it has been decided.

use super::*;

fn output() -> AttemptOutcome {
    AttemptOutcome::Output(Payload::json("2"))
}

fn failure() -> AttemptOutcome {
    AttemptOutcome::Failure {
        error: TaskError::new(Reason::HandlerFailed, "no"),
        retryable: false,
    }
}

fn reported(task: u128, outcome: AttemptOutcome) -> SessionEvent {
    SessionEvent::Reported {
        attempt: attempt(task, 1),
        outcome,
    }
}

/// The cause of each refusal among settled reports; `None` for an accepted one.
fn settled(releases: Vec<Release>) -> Vec<Option<Reason>> {
    let settled = |release| match release {
        Release::Settle(report) => Some(report.refused),
        _ => None,
    };
    releases.into_iter().filter_map(settled).collect()
}

#[test]
fn an_accepted_report_ends_its_task() {
    let mut stage = Stage::running(2, &[1, 2]);
    let (_releases, mut commands) = stage.join(1, hello("a", &[attempt(1, 1), attempt(2, 1)]), 0);
    received(&mut commands);
    let releases = stage.handle(1, reported(1, output()), 7);
    assert_eq!((stage.state(1), stage.free()), (State::Succeeded, vec![1]));
    let [Release::Settle(report)] = &releases[..] else {
        panic!("one release");
    };
    assert_eq!((report.refused, report.reported), (None, at(7).monotonic));
    assert!(received(&mut commands).is_empty(), "it has not committed");
    stage.sessions.settle(report.clone());
    let (attempt, refused) = (attempt(1, 1), None);
    assert_eq!(received(&mut commands), [WorkerCommand::Settled { attempt, refused }]);
    assert_eq!(settled(stage.handle(1, reported(2, failure()), 8)), [None]);
    assert_eq!(stage.state(2), State::Failed);
}

#[test]
fn a_report_of_an_attempt_that_was_given_up_is_refused() {
    let mut stage = Stage::running(1, &[1]);
    let (_releases, _commands) = stage.join(1, hello("b", &[]), 0);
    let refused = settled(stage.handle(1, reported(1, failure()), 0));
    assert_eq!(refused, [Some(Reason::AttemptStale)]);
    assert_eq!(stage.state(1), State::Running, "it runs on another worker");
}

#[test]
fn an_attempt_whose_report_cannot_be_kept_is_lost() {
    let mut stage = Stage::running(1, &[1]);
    let (_releases, _commands) = stage.join(1, hello("a", &[attempt(1, 1)]), 0);
    let too_large = AttemptOutcome::Output(Payload::json(vec![b'1'; 1 << 20]));
    let command = decision(attempt(1, 1), worker("a"), too_large.clone(), None);
    assert!(matches!(
        stage.bench.decider.execute(command, at(0)),
        Err(Rejection::Invalid(_))
    ));
    let refused = settled(stage.handle(1, reported(1, too_large), 0));
    assert!(refused[0].is_some());
    stage.tick(0);
    assert_eq!(stage.state(1), State::Pending, "its worker does not run it any more");
}

#[test]
fn a_report_waits_for_room_in_a_batch() {
    let mut stage = Stage::running(1, &[1]);
    let (_releases, _commands) = stage.join(1, hello("a", &[attempt(1, 1)]), 0);
    for number in 100.. {
        if !stage.bench.decider.pipeline.has_room() {
            break;
        }
        stage.bench.execute(Command::Submit(submission(number)), at(0));
    }
    assert!(stage.handle(1, reported(1, output()), 0).is_empty());
    assert!(stage.tick(0).is_empty());
    assert_eq!(stage.state(1), State::Running);
    stage.bench.send(at(0));
    assert_eq!(settled(stage.tick(0)), [None]);
    assert_eq!(stage.state(1), State::Succeeded);
}

#[test]
fn a_report_without_a_session_is_passed_over() {
    let mut stage = Stage::running(1, &[1]);
    assert!(stage.handle(9, reported(1, output()), 0).is_empty());
    assert_eq!(stage.state(1), State::Running);
}

#[test]
fn an_announced_report_ends_the_hold_on_its_task() {
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
    let (_releases, _commands) = stage.join(1, ended, 0);
    let releases = stage.handle(1, reported(1, output()), 100);
    assert!(matches!(
        releases[..],
        [
            Release::Settle(SettledReport { refused: None, .. }),
            Release::Effect(Effect::Enqueue(_))
        ]
    ));
    assert_eq!(stage.state(1), State::Succeeded, "it came in time");
    assert!(stage.tick(3_000).is_empty(), "the hold is over");
}

#[test]
fn progress_is_kept_of_the_running_attempt_of_its_worker_alone() {
    let mut stage = Stage::running(1, &[1]);
    let (_releases, _a) = stage.join(1, hello("a", &[attempt(1, 1)]), 0);
    let (_releases, _b) = stage.join(2, hello("b", &[]), 0);
    let progress = |fraction| SessionEvent::Progress {
        attempt: attempt(1, 1),
        progress: Progress {
            attempt: 1,
            fraction,
            ..Progress::default()
        },
        checkpoint: None,
    };
    stage.handle(1, progress(0.5), 0);
    stage.handle(2, progress(0.9), 0);
    let mut read = stage.bench.get(1, at(0));
    stage.bench.commit(at(0));
    let view = read.try_recv().expect("it is answered").expect("it is known");
    assert_eq!(view.progress.map(|latest| latest.fraction), Some(0.5));
}
