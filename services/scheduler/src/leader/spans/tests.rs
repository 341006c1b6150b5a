//! Only the waits of sampled tasks are kept.

use std::sync::Arc;

use lepton_domain::task::State;

use super::*;
use crate::leader::fixtures::task;

fn traced(flags: &str) -> Task {
    let traceparent = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
    let mut traced = task(1, State::Pending, 5).as_ref().clone();
    traced.traceparent = Some(Arc::from(traceparent));
    traced
}

#[test]
fn what_is_not_sampled_is_not_noted() {
    let mut waits = QueueWaits::default();
    waits.begin(&task(1, State::Pending, 5), Duration::ZERO);
    waits.begin(&traced("00"), Duration::ZERO);
    assert!(waits.since.is_empty());
    waits.begin(&traced("01"), Duration::ZERO);
    assert_eq!(waits.since.len(), 1);
    waits.forget(&traced("01").id);
    assert!(waits.since.is_empty());
}

#[test]
fn a_wait_ends_with_its_attempt() {
    let (mut waits, task) = (QueueWaits::default(), traced("01"));
    let attempt = AttemptId {
        task: task.id,
        number: 1,
    };
    waits.begin(&task, Duration::from_secs(7));
    waits.end(&task, attempt, &InstanceId::new("worker-1"), Duration::from_secs(8));
    assert!(waits.since.is_empty());
}
