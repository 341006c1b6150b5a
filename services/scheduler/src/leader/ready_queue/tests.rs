//! Only pending tasks that are not held are in the queue.

use super::*;
use crate::leader::fixtures::{at, attempt, task, worker};

fn node(kind: &str, capacity: u32) -> Node {
    Node {
        id: worker("a"),
        capacity,
        used: 0,
        labels: BTreeMap::new(),
        kinds: [lepton_domain::ids::Kind::new(kind)].into(),
    }
}

#[test]
fn only_pending_tasks_come_in() {
    let mut ready = ReadyQueue::default();
    ready.enqueue(&task(1, State::Running, 1), at(0));
    ready.enqueue(&task(2, State::Succeeded, 1), at(0));
    assert!(ready.is_empty());
    ready.enqueue(&task(3, State::Pending, 1), at(0));
    ready.enqueue(&task(3, State::Pending, 1), at(0));
    assert_eq!(ready.len(), 1, "a task is in it once");
    ready.remove(&TaskId::from_u128(3));
    assert!(ready.is_empty());
}

#[test]
fn a_held_task_stays_out_until_its_report_is_here() {
    let mut ready = ReadyQueue::default();
    let pending = task(1, State::Pending, 1);
    ready.enqueue(&pending, at(0));
    ready.hold(attempt(1, 1), at(0));
    ready.enqueue(&pending, at(0));
    assert!(ready.is_empty());
    assert!(ready.end_hold(&pending.id) && !ready.end_hold(&pending.id));
    ready.enqueue(&pending, at(0));
    assert_eq!(ready.len(), 1);
    ready.hold(attempt(1, 1), at(0));
    assert_eq!(ready.len(), 1, "the same attempt does not hold it again");
}

#[test]
fn a_hold_that_no_report_ends_expires() {
    let mut ready = ReadyQueue::default();
    ready.hold(attempt(1, 1), at(0));
    assert!(ready.expire_holds(at(1_999)).is_empty());
    assert_eq!(ready.expire_holds(at(2_000)), [TaskId::from_u128(1)]);
}

#[test]
fn a_task_that_no_free_worker_suits_stays() {
    let mut ready = ReadyQueue::default();
    ready.enqueue(&task(1, State::Pending, 1), at(0));
    assert!(ready.place(vec![node("train", 4)], at(0).journal).is_empty());
    assert!(ready.place(Vec::new(), at(0).journal).is_empty());
    assert_eq!(ready.len(), 1);
    let placed = ready.place(vec![node("echo", 4)], at(0).journal);
    assert_eq!(placed.len(), 1);
    assert_eq!((placed[0].0.task, &placed[0].1), (TaskId::from_u128(1), &worker("a")));
    assert!(ready.is_empty());
}

#[test]
fn no_more_are_placed_than_there_are_free_slots() {
    let mut ready = ReadyQueue::default();
    (1..=5).for_each(|number| ready.enqueue(&task(number, State::Pending, 1), at(0)));
    assert_eq!(ready.place(vec![node("echo", 2)], at(0).journal).len(), 2);
    assert_eq!(ready.len(), 3);
}

#[test]
fn a_delayed_task_is_not_due_at_once() {
    let mut ready = ReadyQueue::default();
    let mut delayed = task(1, State::Pending, 1).as_ref().clone();
    delayed.spec.not_before = Some(at(70).journal);
    ready.enqueue(&delayed, at(0));
    assert!(ready.place(vec![node("echo", 1)], at(69).journal).is_empty());
    assert_eq!(ready.next_due(at(69).journal), Some(at(70).journal));
    assert_eq!(ready.next_due(at(70).journal), None, "what is due already wakes nobody");
    assert_eq!(ready.place(vec![node("echo", 1)], at(70).journal).len(), 1);
}
