//! Properties that hold under every sequence of commands, also of such as no honest peer would send.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::task::{RetryPolicy, TABLE};

/// A random step of the world; small numbers, so that steps meet.
#[derive(Debug, Clone)]
pub(super) enum Move {
    Submit {
        task: u128,
        tenant: u8,
        request: u8,
        content: u8,
        deadline: Option<u64>,
        tries: u32,
        once: bool,
    },
    Start {
        task: u128,
        ahead: u32,
        by: u32,
    },
    Succeed {
        task: u128,
        number: u32,
        by: u32,
    },
    Fail {
        task: u128,
        back: u32,
        by: Option<u32>,
        retryable: bool,
    },
    Lose {
        task: u128,
        back: u32,
        by: Option<u32>,
    },
    Cancel {
        task: u128,
    },
    Tick {
        seconds: u64,
    },
    Takeover,
}

pub(super) fn moves() -> impl Strategy<Value = Vec<Move>> {
    let task = || 0u128..6;
    let by = || 0u32..3;
    let submit = (
        task(),
        0u8..2,
        0u8..5,
        0u8..2,
        prop::option::weighted(0.3, 0u64..900),
        1u32..4,
        any::<bool>(),
    );
    let one = prop_oneof![
        6 => submit.prop_map(|(task, tenant, request, content, deadline, tries, once)| {
            Move::Submit { task, tenant, request, content, deadline, tries, once: once && tries == 1 }
        }),
        8 => (task(), 0u32..3, by()).prop_map(|(task, ahead, by)| Move::Start { task, ahead, by }),
        2 => (task(), 0u32..6, by()).prop_map(|(task, number, by)| Move::Succeed { task, number, by }),
        4 => (task(), 0u32..2, prop::option::weighted(0.2, by()), any::<bool>())
            .prop_map(|(task, back, by, retryable)| Move::Fail { task, back, by, retryable }),
        4 => (task(), 0u32..2, prop::option::weighted(0.2, by()))
            .prop_map(|(task, back, by)| Move::Lose { task, back, by }),
        1 => task().prop_map(|task| Move::Cancel { task }),
        2 => (0u64..2_000).prop_map(|seconds| Move::Tick { seconds }),
        1 => Just(Move::Takeover),
    ];
    prop::collection::vec(one, 1..120)
}

/// The command of a move. Failures and losses are mostly of the attempt that runs, to get far.
pub(super) fn command(world: &mut World, step: Move) -> Command {
    let now = world.clock;
    let target = |world: &World, task: u128, back: u32, by: Option<u32>| {
        let current = world.ledger.task(&id(task)).and_then(|task| task.attempt.clone());
        let number = current.as_ref().map_or(1, |it| it.number).saturating_sub(back);
        let owner = by.map(worker).or(current.map(|it| it.worker)).unwrap_or(worker(0));
        (attempt(task, number), owner)
    };
    match step {
        Move::Submit { .. } => Command::Submit(Box::new(submitted(step, now))),
        Move::Start { task, ahead, by } => {
            let started = world.ledger.task(&id(task)).map_or(0, |task| task.attempts);
            Command::Start {
                attempt: attempt(task, started + ahead),
                worker: worker(by),
            }
        }
        Move::Succeed { task, number, by } => Command::Succeed {
            attempt: attempt(task, number),
            worker: worker(by),
            output: Payload::json("{}"),
        },
        Move::Fail {
            task,
            back,
            by,
            retryable,
        } => {
            let (attempt, worker) = target(world, task, back, by);
            Command::Fail {
                attempt,
                worker,
                error: error("no"),
                retryable,
                checkpoint: None,
            }
        }
        Move::Lose { task, back, by } => {
            let (attempt, worker) = target(world, task, back, by);
            Command::Lose {
                attempt,
                worker,
                alone: false,
                checkpoint: None,
            }
        }
        Move::Cancel { task } => Command::Cancel {
            task: id(task),
            message: "enough".to_owned(),
        },
        Move::Tick { seconds } => {
            world.wait(Duration::from_secs(seconds));
            Command::Tick
        }
        Move::Takeover => {
            world.ledger.begin(Epoch(world.ledger.epoch().0 + 3), now);
            Command::OpenEpoch { leader: worker(9) }
        }
    }
}

fn submitted(step: Move, now: Timestamp) -> Submission {
    let Move::Submit {
        task,
        tenant,
        request,
        content,
        deadline,
        tries,
        once,
    } = step
    else {
        unreachable!("a submit")
    };
    let mut new = submission(task, &format!("r{request}"));
    new.tenant = Tenant::new(format!("t{tenant}"));
    new.content_digest = ContentDigest([content; 32]);
    new.spec.deadline = deadline.map(|seconds| now.plus(Duration::from_secs(seconds)));
    new.spec.retry = RetryPolicy {
        max_attempts: tries,
        ..RetryPolicy::default()
    };
    new.spec.run_once = once;
    new
}

/// What a leader makes of effects: which tasks it holds in its queue, which attempts it wants run.
#[derive(Default)]
struct Leader {
    queued: BTreeSet<TaskId>,
    ended: BTreeSet<TaskId>,
}

impl Leader {
    fn perform(&mut self, effects: &[Effect], before: &Ledger) -> Result<(), TestCaseError> {
        for effect in effects {
            match effect {
                Effect::Enqueue(task) => prop_assert!(self.queued.insert(*task), "{task} queued twice"),
                Effect::Dequeue(task) => prop_assert!(self.queued.remove(task), "{task} was not queued"),
                Effect::Ended(task) => prop_assert!(self.ended.insert(*task), "{task} ended twice"),
                Effect::Stop { attempt, worker } => {
                    let task = before.task(&attempt.task).unwrap();
                    prop_assert_eq!(task.running_attempt(), Some(*attempt));
                    prop_assert_eq!(&task.attempt.as_ref().unwrap().worker, worker);
                }
                Effect::Changed(_) | Effect::DeleteBlobs(_) => {}
            }
        }
        Ok(())
    }
}

fn check_tasks(before: &Ledger, after: &Ledger) -> Result<(), TestCaseError> {
    for task in after.tasks() {
        let old = before.task(&task.id).filter(|old| old.created_seq == task.created_seq);
        prop_assert_eq!(task.ended.is_some(), task.state.is_final());
        prop_assert!(task.state != State::Running || task.running_attempt().is_some());
        prop_assert!(task.state != State::Pending || task.attempt.is_none());
        let Some(old) = old.filter(|old| ***old != **task) else {
            continue;
        };
        prop_assert!(!old.state.is_final(), "{} changed after its end", task.id);
        prop_assert!(task.attempts >= old.attempts && task.version > old.version);
        let legal = TABLE
            .iter()
            .any(|(from, _, to)| *from == old.state && *to == task.state);
        prop_assert!(legal, "{} -> {}", old.state, task.state);
        if old.state == State::Pending && task.state == State::Running {
            prop_assert!(task.attempts > old.attempts, "the fencing token did not grow");
        }
    }
    Ok(())
}

/// Retries are bounded by the task's policy, losses by the operator's. Rules of `decide`, so only its events keep them.
fn check_bounds(ledger: &Ledger) -> Result<(), TestCaseError> {
    for task in ledger.tasks() {
        prop_assert!(task.failures <= task.spec.retry.max_attempts && task.losses <= 3);
    }
    Ok(())
}

/// A request is accepted again only once its task is gone, at least ten minutes after that ended.
fn check_request(world: &World, ends: &[(Tenant, RequestId, Timestamp)], event: &Event) -> Result<(), TestCaseError> {
    if let Event::Submitted(new) = event {
        for (tenant, request, ended) in ends {
            let same = (tenant, request) == (&new.tenant, &new.request_id);
            prop_assert!(
                !same || world.clock.since(*ended) >= Policy::RETENTION_MIN,
                "{request} accepted twice"
            );
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_history_is_legal_and_replays(steps in moves()) {
        let mut world = World::new();
        world.policy.retention = Duration::from_secs(700);
        let mut leader = Leader::default();
        let mut ends = Vec::new();
        for step in steps {
            let command = command(&mut world, step);
            let before = world.ledger.clone();
            let Ok((events, effects)) = world.run(command) else {
                prop_assert_eq!(&before, &world.ledger);
                continue;
            };
            for event in &events {
                check_request(&world, &ends, event)?;
                if let Event::Submitted(new) = event {
                    // The same id again is another task, once the first has been purged.
                    leader.ended.remove(&new.id);
                }
            }
            leader.perform(&effects, &before)?;
            check_tasks(&before, &world.ledger)?;
            check_bounds(&world.ledger)?;
            for task in effects.iter().filter_map(|it| if let Effect::Ended(task) = it { Some(task) } else { None }) {
                let task = world.ledger.task(task).unwrap();
                ends.push((task.tenant.clone(), task.request_id.clone(), task.ended.unwrap()));
            }
            let pending: BTreeSet<_> = world.ledger.pending().map(|task| task.id).collect();
            prop_assert_eq!(&pending, &leader.queued, "effects lead to exactly the pending tasks");
            prop_assert_eq!(world.ledger.digest(), recomputed(&world.ledger));
        }
        prop_assert_eq!(&world.replayed(), &world.ledger);
        let tasks = world.ledger.tasks().map(|task| Task::clone(task));
        let restored = Ledger::restore(world.ledger.snapshot_header(), tasks);
        prop_assert_eq!(restored.as_ref(), Ok(&world.ledger));
        prop_assert_eq!(world.ledger.scrub(TaskId::MIN, usize::MAX), Ok(TaskId::MIN));
    }

    #[test]
    fn each_life_of_a_task_has_at_most_one_success(steps in moves()) {
        let mut world = World::new();
        for step in steps {
            let command = command(&mut world, step);
            let _ = world.run(command);
        }
        let mut won = BTreeSet::new();
        for (_, _, event) in &world.journal {
            match event {
                Event::Succeeded { attempt, .. } => prop_assert!(won.insert(attempt.task), "two successes"),
                Event::Purged { task } => drop(won.remove(task)),
                _ => {}
            }
        }
    }

    #[test]
    fn an_event_of_another_history_is_refused_whole(ours in moves(), theirs in moves()) {
        let mut world = World::new();
        for step in ours {
            let command = command(&mut world, step);
            let _ = world.run(command);
        }
        let mut other = World::new();
        for step in theirs {
            let command = command(&mut other, step);
            let _ = other.run(command);
        }
        for (_, _, event) in &other.journal {
            let before = world.ledger.clone();
            if apply(&mut world.ledger, event).is_err() {
                prop_assert_eq!(&before, &world.ledger);
            } else {
                check_tasks(&before, &world.ledger)?;
                prop_assert_eq!(world.ledger.digest(), recomputed(&world.ledger));
            }
        }
    }

    #[test]
    fn digests_survive_bytes_and_text(lanes in any::<[u64; 4]>()) {
        let digest = StateDigest(lanes);
        prop_assert_eq!(StateDigest::from_bytes(digest.to_bytes()), digest);
        prop_assert_eq!(digest.to_string().parse::<StateDigest>(), Ok(digest));
    }
}
