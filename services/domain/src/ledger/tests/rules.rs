//! One rule a test.

use super::*;

#[test]
fn a_success_wins_from_any_attempt_and_only_once() {
    let mut world = World::new();
    world.submit(submission(1, "r1")).unwrap();
    world.start(1, 1, 1).unwrap();
    world.lose(1, 1, 1).unwrap();
    world.start(1, 2, 2).unwrap();
    // The lost worker delivers first: the second attempt is stopped.
    let effects = world.succeed(1, 1, 1).unwrap();
    assert!(
        effects.contains(&Effect::Stop {
            attempt: attempt(1, 2),
            worker: worker(2)
        }),
        "{effects:?}"
    );
    assert_eq!(world.task(1).attempt.as_ref().unwrap().number, 1);
    assert_eq!(world.task(1).attempts, 2);
    let late = world.succeed(1, 2, 2).unwrap_err();
    assert!(matches!(
        late,
        Rejection::Superseded {
            state: State::Succeeded,
            ..
        }
    ));
    assert_eq!(late.api_error().code(), Code::AlreadyExists);
}

#[test]
fn a_success_implies_a_start_that_the_journal_never_saw() {
    let mut world = World::new();
    world.submit(submission(1, "r1")).unwrap();
    let effects = world.succeed(1, 4, 2).unwrap();
    assert_eq!(
        effects,
        [Effect::Dequeue(id(1)), Effect::Changed(id(1)), Effect::Ended(id(1))]
    );
    assert_eq!((world.task(1).attempts, world.task(1).started), (4, Some(at(0))));
}

#[test]
fn a_repeat_is_told_from_a_reuse_even_over_quota() {
    let mut world = World::new();
    world.policy.limits.stored_tasks_per_tenant = 1;
    world.submit(submission(1, "r1")).unwrap();
    assert_eq!(world.submit(submission(2, "r1")), Err(Rejection::Duplicate(id(1))));
    let other = Submission {
        content_digest: ContentDigest([2; 32]),
        ..submission(3, "r1")
    };
    let reuse = world.submit(other).unwrap_err();
    assert_eq!(
        (&reuse, reuse.api_error().reason),
        (&Rejection::RequestIdReused(id(1)), Reason::RequestIdReused)
    );
    let full = world.submit(submission(4, "r4")).unwrap_err().api_error();
    assert_eq!(full.reason, Reason::QuotaExceeded);
    assert!(full.retry_after.is_some() && full.quota.is_some());
    // Another tenant has its own quota and its own request ids.
    world
        .submit(Submission {
            tenant: Tenant::new("other"),
            ..submission(5, "r1")
        })
        .unwrap();
}

#[test]
fn attempt_numbers_only_grow() {
    let mut world = World::new();
    world.submit(submission(1, "r1")).unwrap();
    assert!(matches!(world.start(1, 0, 1), Err(Rejection::Invalid(_))));
    world.start(1, 3, 1).unwrap();
    assert!(
        matches!(world.start(1, 4, 1), Err(Rejection::StaleAttempt { .. })),
        "it runs already"
    );
    world.lose(1, 3, 1).unwrap();
    assert!(matches!(
        world.start(1, 3, 1),
        Err(Rejection::StaleAttempt { attempts: 3, .. })
    ));
    world.start(1, 4, 1).unwrap();
    assert_eq!(world.start(9, 1, 1), Err(Rejection::TaskNotFound(id(9))));
}

#[test]
fn only_the_current_attempt_of_its_worker_fails_or_is_lost() {
    let mut world = World::new();
    world.submit(submission(1, "r1")).unwrap();
    world.start(1, 1, 1).unwrap();
    assert!(matches!(world.lose(1, 1, 2), Err(Rejection::StaleAttempt { .. })));
    assert!(matches!(world.lose(1, 2, 1), Err(Rejection::StaleAttempt { .. })));
    world.lose(1, 1, 1).unwrap();
    assert!(
        matches!(world.lose(1, 1, 1), Err(Rejection::StaleAttempt { .. })),
        "not twice"
    );
}

#[test]
fn the_third_loss_is_poison_and_a_run_once_task_has_no_second() {
    let mut world = World::new();
    world.submit(submission(1, "r1")).unwrap();
    for number in 1..=3 {
        world.start(1, number, number).unwrap();
        world.lose(1, number, number).unwrap();
    }
    let task = world.task(1);
    assert_eq!((task.state, task.losses, task.failures), (State::Failed, 3, 0));
    assert_eq!(task.error.as_ref().unwrap().reason, "POISON");

    let mut once = submission(2, "r2");
    once.spec.run_once = true;
    world.submit(once).unwrap();
    world.start(2, 1, 1).unwrap();
    let events = world.lose(2, 1, 1).unwrap();
    assert_eq!(
        events.len(),
        1,
        "one event, so that no cut of the journal can run it again"
    );
    assert_eq!(world.task(2).error.as_ref().unwrap().reason, "WORKER_LOST");
}

#[test]
fn a_tick_is_bounded_and_does_the_earliest_first() {
    let mut world = World::new();
    for number in 0..700 {
        let mut due = submission(number, &format!("r{number}"));
        due.spec.deadline = Some(at(1_000 - number as u64));
        world.submit(due).unwrap();
    }
    assert_eq!(world.ledger.next_timer(&world.policy), Some(at(301)));
    world.wait(Duration::from_secs(2_000));
    let (events, _) = world.run(Command::Tick).unwrap();
    assert_eq!(events.len(), decide::TICK_EVENTS_MAX);
    assert_eq!(events[0], Event::Expired { task: id(699) });
    assert_eq!(world.run(Command::Tick).unwrap().0.len(), 200);
    assert_eq!(world.run(Command::Tick).unwrap().0, []);
    assert_eq!(world.ledger.next_timer(&world.policy), Some(at(2_000 + 3_600)));
}

#[test]
fn retention_is_at_least_ten_minutes() {
    let mut world = World::new();
    world.policy.retention = Duration::from_secs(1);
    world.submit(submission(1, "r1")).unwrap();
    world.succeed(1, 1, 1).unwrap();
    world.wait(Duration::from_secs(599));
    assert_eq!(world.run(Command::Tick).unwrap().0, []);
    assert!(matches!(
        world.submit(submission(2, "r1")),
        Err(Rejection::Duplicate(_))
    ));
    world.wait(Duration::from_secs(1));
    assert_eq!(world.run(Command::Tick).unwrap().0, [Event::Purged { task: id(1) }]);
    assert_eq!((world.ledger.len(), world.ledger.digest()), (0, StateDigest::EMPTY));
    world.submit(submission(2, "r1")).unwrap();
}

#[test]
fn blobs_are_deleted_only_where_some_can_be() {
    let mut world = World::new();
    let mut big = submission(1, "r1");
    let content = Content::Blob {
        digest: ContentDigest([9; 32]),
        size: 1 << 30,
    };
    big.spec.input = Payload {
        encoding: Encoding::Binary,
        content,
    };
    world.submit(big).unwrap();
    for number in 2..=4 {
        world.submit(submission(number, &format!("r{number}"))).unwrap();
    }
    world.succeed(1, 1, 1).unwrap();
    world.succeed(2, 1, 1).unwrap();
    // The first attempt at 3 may have left its output behind, and so may the only one at 4.
    world.start(3, 1, 1).unwrap();
    world.lose(3, 1, 1).unwrap();
    world.succeed(3, 2, 1).unwrap();
    world.start(4, 1, 1).unwrap();
    let message = String::new();
    world.run(Command::Cancel { task: id(4), message }).unwrap();
    world.wait(Duration::from_secs(4_000));
    let (_, effects) = world.run(Command::Tick).unwrap();
    assert_eq!(effects, [1, 3, 4].map(|number| Effect::DeleteBlobs(id(number))));
}

#[test]
fn nothing_is_written_in_an_epoch_that_is_not_open() {
    let mut world = World::new();
    world.submit(submission(1, "r1")).unwrap();
    world.ledger.begin(Epoch(2), at(1));
    let before = world.ledger.clone();
    let event = Event::Cancelled {
        task: id(1),
        message: String::new(),
    };
    assert!(matches!(
        apply(&mut world.ledger, &event),
        Err(IllegalEvent::EpochNotOpen { .. })
    ));
    assert_eq!(world.ledger, before);
    world
        .run(Command::OpenEpoch {
            leader: InstanceId::new("b"),
        })
        .unwrap();
    assert_eq!(world.ledger.leader().unwrap().as_str(), "b");
    let again = world
        .run(Command::OpenEpoch {
            leader: InstanceId::new("b"),
        })
        .unwrap_err();
    assert_eq!(again.api_error().reason, Reason::StaleEpoch);
    world.ledger.begin(Epoch(1), at(0));
    assert!(apply(&mut world.ledger, &event).is_err(), "an old epoch stays closed");
    assert_eq!(world.ledger.now(), at(1), "time never goes back");
}

#[test]
fn unknown_formats_are_refused() {
    let mut world = World::new();
    assert_eq!(world.run(Command::ActivateFormat { format: 1 }).unwrap().0, []);
    let newer = world
        .run(Command::ActivateFormat { format: FORMAT_MAX + 1 })
        .unwrap_err();
    assert_eq!(newer.api_error().reason, Reason::FormatUnsupported);
    let event = Event::FormatActivated { format: FORMAT_MAX + 1 };
    assert_eq!(
        apply(&mut world.ledger, &event),
        Err(IllegalEvent::Format(FORMAT_MAX + 1))
    );
}

#[test]
fn scrub_finds_the_task_that_changed_behind_the_digest() {
    let mut world = World::new();
    for number in 1..=10 {
        world.submit(submission(number, &format!("r{number}"))).unwrap();
    }
    assert_eq!(world.ledger.scrub(TaskId::MIN, 4).unwrap(), id(5));
    assert_eq!(world.ledger.scrub(id(5), 100).unwrap(), TaskId::MIN);
    let entry = world.ledger.tasks.get_mut(&id(7)).unwrap();
    Arc::make_mut(&mut entry.task).losses += 1;
    assert_eq!(world.ledger.scrub(TaskId::MIN, 100).unwrap_err().task, id(7));
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let mut world = World::new();
    world.submit(submission(1, "r1")).unwrap();
    world.submit(submission(2, "r2")).unwrap();
    let header = world.ledger.snapshot_header();
    let tasks: Vec<Task> = world.ledger.tasks().map(|task| Task::clone(task)).collect();
    assert_eq!(
        Ledger::restore(header.clone(), tasks.iter().rev().cloned()).unwrap(),
        world.ledger
    );
    let short = Ledger::restore(header.clone(), tasks[..1].to_vec());
    assert_eq!(short, Err(Corrupt::Count { expected: 2, actual: 1 }));
    let twice = Ledger::restore(header.clone(), [tasks[0].clone(), tasks[0].clone()]);
    assert_eq!(twice, Err(Corrupt::Twice(id(1))));
    let mut changed = tasks.clone();
    changed[1].attempts = 7;
    assert!(matches!(
        Ledger::restore(header.clone(), changed),
        Err(Corrupt::Digest { .. })
    ));
    let newer = Header { format: 9, ..header };
    assert_eq!(Ledger::restore(newer, tasks), Err(Corrupt::Format { found: 9 }));
}

#[test]
fn queues_are_in_order_of_submission() {
    let mut world = World::new();
    for number in [5, 3, 9] {
        world.submit(submission(number, &format!("r{number}"))).unwrap();
    }
    world.start(3, 1, 1).unwrap();
    let ids = |tasks: Vec<&Arc<Task>>| tasks.into_iter().map(|task| task.id.as_u128()).collect::<Vec<_>>();
    let ledger = &world.ledger;
    assert_eq!(ids(ledger.pending().collect()), [5, 9]);
    assert_eq!(ids(ledger.running().collect()), [3]);
    assert_eq!(
        ledger.usage(&Tenant::new("default")),
        Usage {
            stored: 3,
            pending: 2,
            running: 1
        }
    );
    assert_eq!(ledger.usage(&Tenant::new("nobody")), Usage::default());
}

#[test]
fn oversized_commands_are_refused_or_cut() {
    let mut world = World::new();
    world.submit(submission(1, "r1")).unwrap();
    world.start(1, 1, 1).unwrap();
    let output = Payload::json(vec![b' '; 5_000]);
    let command = Command::Succeed {
        attempt: attempt(1, 1),
        worker: worker(1),
        output,
    };
    assert!(matches!(world.run(command), Err(Rejection::Invalid(_))));
    let long = TaskError {
        reason: "é".repeat(50),
        ..error(&"é".repeat(5_000))
    };
    let command = Command::Fail {
        attempt: attempt(1, 1),
        worker: worker(1),
        error: long,
        retryable: false,
        checkpoint: None,
    };
    world.run(command).unwrap();
    let kept = world.task(1).error.as_ref().unwrap();
    assert_eq!((kept.reason.len(), kept.message.len()), (64, 4_096));
    let nameless = Submission {
        tenant: Tenant::new(""),
        ..submission(2, "r2")
    };
    assert!(matches!(world.submit(nameless), Err(Rejection::Invalid(_))));
    assert!(
        matches!(world.submit(submission(1, "r9")), Err(Rejection::Invalid(_))),
        "the id is taken"
    );
}
