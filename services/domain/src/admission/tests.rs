//! Limits are exclusive bounds, refusals say what to do, and the gate counts.

use super::*;

#[test]
fn the_last_task_within_the_limit_is_admitted() {
    let limits = Limits {
        stored_tasks_per_tenant: 10,
        pending_tasks_per_tenant: 5,
        ..Limits::default()
    };
    let usage = |stored, pending| Usage {
        stored,
        pending,
        running: 0,
    };
    admit(&usage(9, 4), &limits).unwrap();
    for (used, subject) in [(usage(10, 0), "tasks:stored"), (usage(9, 5), "tasks:pending")] {
        let error = admit(&used, &limits).unwrap_err();
        assert_eq!(error.reason, Reason::QuotaExceeded);
        assert_eq!(error.quota.unwrap().subject, subject);
        assert!(error.retry_after.is_some());
    }
}

#[test]
fn the_gate_lets_in_as_many_as_its_limit() {
    let mut gate = Gate::new(2);
    gate.enter().unwrap();
    gate.enter().unwrap();
    let error = gate.enter().unwrap_err();
    assert_eq!((error.reason, gate.inside()), (Reason::Overloaded, 2));
    gate.leave();
    gate.enter().unwrap();
    assert!(Gate::new(0).enter().is_err());
}
