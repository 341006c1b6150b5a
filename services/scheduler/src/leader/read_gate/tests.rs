//! A read is answered only after a write that was sent after it had arrived.

use lepton_domain::ids::TaskId;
use lepton_domain::ledger::Effect;

use super::*;
use crate::leader::fixtures::{Answer, responder, task};
use lepton_domain::task::State;

fn read(number: u128) -> (Release, Answer) {
    let (responder, answer) = responder();
    let outcome = Ok(task(number, State::Pending, 1));
    (Release::Reply(Reply::Task { responder, outcome }), answer)
}

fn enqueue(number: u128) -> Release {
    Release::Effect(Effect::Enqueue(TaskId::from_u128(number)))
}

/// Names what was released: the tasks of effects, and 0 for an answer.
fn numbers(releases: &[Release]) -> Vec<u128> {
    let number = |release: &Release| match release {
        Release::Effect(Effect::Enqueue(task)) => task.as_u128(),
        _ => 0,
    };
    releases.iter().map(number).collect()
}

#[test]
fn a_write_proves_only_what_arrived_before_it_was_sent() {
    let mut gate = ReadGate::default();
    assert!(!gate.wants_write());
    gate.wait(enqueue(1));
    assert!(gate.wants_write());
    gate.write_sent();
    assert!(!gate.wants_write(), "the write is on its way");
    gate.wait(enqueue(2));
    assert!(gate.wants_write(), "this one needs another");
    assert_eq!(numbers(&gate.write_confirmed()), [1]);
    assert!(gate.wants_write());
    gate.write_sent();
    assert_eq!(numbers(&gate.write_confirmed()), [2]);
    assert!(!gate.wants_write() && gate.write_confirmed().is_empty());
}

#[test]
fn one_write_proves_all_reads_before_it_in_their_order() {
    let mut gate = ReadGate::default();
    gate.wait_all([enqueue(3), read(9).0, enqueue(1)]);
    gate.wait(enqueue(2));
    gate.write_sent();
    assert_eq!(numbers(&gate.write_confirmed()), [3, 0, 1, 2]);
}

#[test]
fn a_write_that_carries_no_read_opens_nothing() {
    let mut gate = ReadGate::default();
    gate.wait(enqueue(1));
    // A write of maintenance was sent before the read was marked: its end proves nothing.
    assert!(gate.write_confirmed().is_empty());
    assert!(gate.wants_write());
}

#[test]
fn a_requested_proof_wants_one_write() {
    let mut gate = ReadGate::default();
    gate.request_proof();
    assert!(gate.wants_write());
    gate.write_sent();
    assert!(!gate.wants_write());
}

#[test]
fn callers_are_taken_out_on_both_sides_and_the_rest_stays() {
    let mut gate = ReadGate::default();
    let ((first, _first), (second, _second)) = (read(1), read(2));
    gate.wait_all([enqueue(5), first]);
    gate.write_sent();
    gate.wait_all([second, enqueue(6)]);
    assert_eq!(gate.take_replies().len(), 2);
    assert!(gate.take_replies().is_empty());
    assert_eq!(numbers(&gate.write_confirmed()), [5]);
    gate.write_sent();
    assert_eq!(numbers(&gate.write_confirmed()), [6]);
}

#[test]
fn what_is_dropped_with_the_gate_is_never_answered() {
    let mut gate = ReadGate::default();
    let (release, mut answer) = read(1);
    gate.wait(release);
    gate.write_sent();
    // A fenced leader is dropped with all that waits.
    drop(gate);
    assert!(answer.try_recv().is_err());
}
