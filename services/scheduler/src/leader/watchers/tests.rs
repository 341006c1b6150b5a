//! Watchers see what they should, in order, and are let go.

use lepton_domain::ids::{InstanceId, Seq};
use lepton_domain::task::{Attempt, State};
use lepton_domain::time::Timestamp;

use super::*;
use crate::leader::fixtures::task;

fn view(number: u128, state: State, seq: u64) -> TaskView {
    TaskView {
        task: task(number, state, seq),
        progress: None,
        pending_reason: String::new(),
    }
}

#[test]
fn a_watcher_sees_its_task_from_its_request_on() {
    let mut watchers = Watchers::default();
    let pending = view(1, State::Pending, 5);
    let number = watchers.add(pending.task.id).expect("there is room");
    // A change of an earlier batch must not come before the state at the request.
    watchers.publish(&view(1, State::Pending, 4));
    let mut states = watchers.serve(number, pending);
    assert_eq!(states.borrow_and_update().task.version.seq, Seq(5));
    watchers.publish(&view(1, State::Running, 6));
    assert!(states.has_changed().expect("it is served"));
    assert_eq!(states.borrow_and_update().task.state, State::Running);
}

#[test]
fn a_change_that_commits_with_the_start_of_a_watch_is_not_sent_again() {
    let mut watchers = Watchers::default();
    let number = watchers.add(TaskId::from_u128(1)).expect("there is room");
    let mut states = watchers.serve(number, view(1, State::Running, 6));
    states.borrow_and_update();
    watchers.publish(&view(1, State::Pending, 5));
    watchers.publish(&view(1, State::Running, 6));
    assert!(
        !states.has_changed().expect("it is served"),
        "these led up to the state that it began with"
    );
    watchers.publish(&view(1, State::Succeeded, 7));
    assert_eq!(states.borrow_and_update().task.state, State::Succeeded);
}

#[test]
fn the_end_is_seen_and_the_watcher_let_go() {
    let mut watchers = Watchers::default();
    let number = watchers.add(TaskId::from_u128(1)).expect("there is room");
    let mut states = watchers.serve(number, view(1, State::Running, 5));
    watchers.publish(&view(1, State::Succeeded, 6));
    assert!(!watchers.follow(&TaskId::from_u128(1)));
    assert_eq!(states.borrow_and_update().task.state, State::Succeeded);
    assert_eq!(watchers.count, 0);
}

#[test]
fn progress_is_shown_to_those_who_have_seen_its_attempt_start() {
    let mut watchers = Watchers::default();
    let [early, late] = [(); 2].map(|()| watchers.add(TaskId::from_u128(1)).expect("there is room"));
    let mut running = task(1, State::Running, 6).as_ref().clone();
    running.attempt = Some(Attempt {
        number: 1,
        worker: InstanceId::new("worker-1"),
        started: Timestamp::default(),
    });
    let started = TaskView {
        task: Arc::new(running),
        progress: None,
        pending_reason: String::new(),
    };
    let waiting = watchers.serve(early, view(1, State::Pending, 5));
    let mut following = watchers.serve(late, started);
    let attempt = |number| AttemptId {
        task: TaskId::from_u128(1),
        number,
    };
    let half = Arc::new(Progress {
        attempt: 1,
        fraction: 0.5,
        ..Progress::default()
    });
    watchers.advance(attempt(2), &half);
    assert!(!following.has_changed().expect("it is served"), "another attempt");
    watchers.advance(attempt(1), &half);
    assert!(
        !waiting.has_changed().expect("it is served"),
        "its start has not been committed for this one"
    );
    assert!(following.has_changed().expect("it is served"));
    let shown = following.borrow_and_update().clone();
    assert_eq!((shown.task.version.seq, shown.progress), (Seq(6), Some(half)));
}

#[test]
fn an_ended_task_is_shown_once() {
    let mut watchers = Watchers::default();
    let number = watchers.add(TaskId::from_u128(1)).expect("there is room");
    let states = watchers.serve(number, view(1, State::Failed, 5));
    assert_eq!(states.borrow().task.state, State::Failed);
    assert!(!watchers.follow(&TaskId::from_u128(1)));
}

#[test]
fn readers_that_left_make_room() {
    let mut watchers = Watchers::default();
    for _ in 0..WATCHERS_MAX {
        let number = watchers.add(TaskId::from_u128(1)).expect("there is room");
        drop(watchers.serve(number, view(1, State::Running, 5)));
    }
    assert!(watchers.add(TaskId::from_u128(2)).is_some());
    assert_eq!(watchers.count, 1);
}

#[test]
fn too_many_watchers_are_refused() {
    let mut watchers = Watchers::default();
    let held: Vec<_> = (0..WATCHERS_MAX).map(|_| watchers.add(TaskId::from_u128(1))).collect();
    assert!(held.iter().all(Option::is_some));
    assert_eq!(watchers.add(TaskId::from_u128(2)), None);
}
