//! Watchers see what they should, in order, and are let go.

use lepton_domain::ids::{ContentDigest, Epoch, InstanceId, Kind, RequestId, Seq, Tenant, Version};
use lepton_domain::task::{Attempt, Payload, Spec, State, Task};
use lepton_domain::time::Timestamp;

use super::*;

pub fn task(number: u128, state: State, seq: u64) -> Arc<Task> {
    Arc::new(Task {
        id: TaskId::from_u128(number),
        tenant: Tenant::new("default"),
        request_id: RequestId::new("r"),
        content_digest: ContentDigest([0; 32]),
        spec: Spec::new(Kind::new("echo"), Payload::json("null")),
        state,
        attempts: 0,
        failures: 0,
        losses: 0,
        attempt: None,
        retry_at: None,
        output: None,
        error: None,
        created: Timestamp::from_micros(1),
        started: None,
        ended: None,
        created_seq: Seq(1),
        version: Version {
            epoch: Epoch(1),
            seq: Seq(seq),
        },
        traceparent: None,
    })
}

fn seen(number: u128, state: State, seq: u64) -> Seen {
    Seen {
        task: task(number, state, seq),
        progress: None,
    }
}

#[test]
fn a_watcher_sees_its_task_from_its_request_on() {
    let mut watchers = Watchers::default();
    let pending = seen(1, State::Pending, 5);
    let number = watchers.add(pending.task.id).expect("there is room");
    // A change of an earlier batch must not come before the state at the request.
    watchers.publish(&seen(1, State::Pending, 4));
    let mut states = watchers.serve(number, pending);
    assert_eq!(states.borrow_and_update().task.version.seq, Seq(5));
    watchers.publish(&seen(1, State::Running, 6));
    assert!(states.has_changed().expect("it is served"));
    assert_eq!(states.borrow_and_update().task.state, State::Running);
}

#[test]
fn the_end_is_seen_and_the_watcher_let_go() {
    let mut watchers = Watchers::default();
    let number = watchers.add(TaskId::from_u128(1)).expect("there is room");
    let mut states = watchers.serve(number, seen(1, State::Running, 5));
    watchers.publish(&seen(1, State::Succeeded, 6));
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
    let started = Seen {
        task: Arc::new(running),
        progress: None,
    };
    let waiting = watchers.serve(early, seen(1, State::Pending, 5));
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
    let states = watchers.serve(number, seen(1, State::Failed, 5));
    assert_eq!(states.borrow().task.state, State::Failed);
    assert!(!watchers.follow(&TaskId::from_u128(1)));
}

#[test]
fn readers_that_left_make_room() {
    let mut watchers = Watchers::default();
    for _ in 0..WATCHERS_MAX {
        let number = watchers.add(TaskId::from_u128(1)).expect("there is room");
        drop(watchers.serve(number, seen(1, State::Running, 5)));
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
