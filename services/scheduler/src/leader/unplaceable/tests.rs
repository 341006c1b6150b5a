//! One condition for what nothing can run, after its time, until something can.

use lepton_domain::condition::Condition;
use lepton_domain::ids::{Kind, TaskId, Tenant};
use lepton_domain::ledger::Command;

use super::*;
use crate::leader::fixtures::{at, submission};
use crate::leader::sessions::tests::{Stage, hello};
use crate::message::SessionEvent;

const AFTER: Duration = Duration::from_secs(60);

/// A submit of a task that needs a gpu, or nothing.
fn submit(stage: &mut Stage, number: u128, tenant: &str, gpu: bool, millis: u64) {
    let mut submission = submission(number);
    submission.tenant = Tenant::new(tenant);
    if gpu {
        submission.spec.requirements.insert("gpu".to_owned(), "yes".to_owned());
    }
    stage.bench.execute(Command::Submit(submission), at(millis));
    stage.bench.commit(at(millis));
    let ledger = stage.bench.decider.ledger();
    stage
        .ready
        .enqueue_if_startable(ledger, &TaskId::from_u128(number), at(millis));
}

fn able(name: &str) -> crate::message::SessionHello {
    let mut able = hello(name, &[]);
    able.labels.insert("gpu".to_owned(), "yes".to_owned());
    able
}

fn check(tasks: &mut UnplaceableTasks, stage: &Stage, seconds: u64) -> Vec<Condition> {
    tasks.check(&stage.ready, &stage.sessions, at(seconds * 1_000));
    tasks.conditions.standing()
}

#[test]
fn a_minute_without_a_worker_is_one_condition_for_all_tasks_of_a_kind() {
    let mut stage = Stage::after([]);
    let (_releases, _plain) = stage.join(1, hello("plain", &[]), 0);
    let mut tasks = UnplaceableTasks::new(AFTER, Conditions::default(), at(0));
    (1..=3).for_each(|number| submit(&mut stage, number, "acme", true, 10_000));
    submit(&mut stage, 4, "other", true, 40_000);
    submit(&mut stage, 5, "acme", false, 10_000);
    (11..70).for_each(|second| assert_eq!(check(&mut tasks, &stage, second), []));
    let standing = check(&mut tasks, &stage, 71);
    let [condition] = standing.as_slice() else {
        panic!("{standing:?}")
    };
    assert_eq!(
        (
            condition.kind.as_str(),
            condition.subject.as_str(),
            condition.key.as_str()
        ),
        ("unplaceable-tasks", "acme", "acme/echo/gpu=yes")
    );
    let said = r#"3 tasks of tenant "acme" and kind "echo" cannot run: no worker carries the labels gpu=yes"#;
    assert!(condition.text.starts_with(said), "{}", condition.text);
    assert_eq!(
        check(&mut tasks, &stage, 101).len(),
        2,
        "the other tenant's, by its own time"
    );
    let (_releases, _able) = stage.join(2, able("able"), 102_000);
    assert_eq!(check(&mut tasks, &stage, 103), [], "a worker came");
    stage.handle(2, SessionEvent::Closed, 104_000);
    assert_eq!(check(&mut tasks, &stage, 110), [], "it has a minute to come back");
    assert_eq!(check(&mut tasks, &stage, 170).len(), 2);
}

#[test]
fn the_condition_ends_with_the_tasks_and_with_the_leader() {
    let mut stage = Stage::after([]);
    let conditions = Conditions::default();
    let mut tasks = UnplaceableTasks::new(AFTER, conditions.clone(), at(0));
    submit(&mut stage, 1, "acme", true, 0);
    submit(&mut stage, 2, "acme", false, 0);
    assert_eq!(check(&mut tasks, &stage, 60).len(), 2, "no worker is connected");
    stage.ready.remove(&TaskId::from_u128(1));
    let standing = check(&mut tasks, &stage, 61);
    assert_eq!(standing.len(), 1);
    assert!(standing[0].text.contains("no worker is connected"), "{standing:?}");
    drop(tasks);
    assert!(conditions.standing().is_empty(), "the next leader judges anew");
}

#[test]
fn a_new_leader_lets_workers_connect_and_then_counts_from_the_submit() {
    let mut stage = Stage::after([]);
    submit(&mut stage, 1, "acme", true, 0);
    // It took over a minute after the submit.
    let mut tasks = UnplaceableTasks::new(AFTER, Conditions::default(), at(60_000));
    assert_eq!(
        check(&mut tasks, &stage, 64),
        [],
        "workers have five seconds to connect"
    );
    let (_releases, _able) = stage.join(1, able("able"), 64_500);
    assert_eq!(check(&mut tasks, &stage, 65), []);
    let mut tasks = UnplaceableTasks::new(AFTER, Conditions::default(), at(70_000));
    stage.handle(1, SessionEvent::Closed, 70_000);
    assert_eq!(check(&mut tasks, &stage, 75).len(), 1);
}

#[test]
fn delayed_tasks_and_other_kinds_do_not_count() {
    let mut stage = Stage::after([]);
    let mut tasks = UnplaceableTasks::new(AFTER, Conditions::default(), at(0));
    let mut delayed = submission(1);
    delayed.spec.kind = Kind::new("train");
    delayed.spec.not_before = Some(at(200_000).journal);
    stage.bench.execute(Command::Submit(delayed), at(0));
    let ledger = stage.bench.decider.ledger();
    stage.ready.enqueue_if_startable(ledger, &TaskId::from_u128(1), at(0));
    assert_eq!(check(&mut tasks, &stage, 100), []);
}
