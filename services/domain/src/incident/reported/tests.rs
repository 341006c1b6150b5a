//! One incident for each kind and key; open while somebody holds it, and silence is no evidence.

use super::*;
use crate::condition::{ConditionKind, Severity};

const FULL: ConditionKind = ConditionKind::page("disk-full");

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn condition(key: &str, text: &str) -> Condition {
    Condition {
        kind: FULL.name().to_owned(),
        key: key.to_owned(),
        subject: "disk".to_owned(),
        text: text.to_owned(),
        severity: FULL.severity(),
    }
}

/// Report of an instance that answers (true) or is silent, with these keys.
fn report(id: &str, answering: bool, keys: &[&str]) -> (InstanceId, ConditionReport) {
    let conditions = keys
        .iter()
        .map(|key| condition(key, &format!("{key} is full")))
        .collect();
    (InstanceId::new(id), ConditionReport { conditions, answering })
}

#[derive(Default)]
struct Watch {
    incidents: Incidents,
    next: u128,
}

impl Watch {
    fn observe(&mut self, seconds: u64, reports: &[(InstanceId, ConditionReport)]) -> Vec<Change> {
        let next = &mut self.next;
        let mut ids = || {
            *next += 1;
            IncidentId::from_u128(*next)
        };
        let reports = reports.iter().cloned().collect();
        observe_conditions(&mut self.incidents, &reports, at(seconds), &mut ids)
    }
}

#[test]
fn the_same_key_of_several_instances_is_one_incident() {
    let mut watch = Watch::default();
    let changes = watch.observe(1, &[report("a", true, &["/x"]), report("b", true, &["/x", "/y"])]);
    assert_eq!(
        (changes.len(), watch.incidents.open()),
        (2, 2),
        "one for each key: {changes:?}"
    );
    let [Change::Opened(x), Change::Opened(y)] = changes.as_slice() else {
        panic!("{changes:?}")
    };
    assert_eq!((x.rule.as_str(), x.subject.as_str()), ("disk-full", "disk"));
    assert_eq!((x.severity, x.opened), (Severity::Page, at(1)));
    assert_eq!(x.summary, "/x is full; reported by a, b");
    assert_eq!(y.summary, "/y is full; reported by b");
    assert_eq!(
        watch.observe(2, &[report("a", true, &["/x"]), report("b", true, &["/x", "/y"])]),
        []
    );
    assert_eq!(
        watch.observe(9, &[report("a", true, &[]), report("b", true, &["/x", "/y"])]),
        []
    );
    let left = watch.incidents.get(&x.id).expect("it is kept");
    assert_eq!(left.summary, "/x is full; reported by b", "a holds it no more");
}

#[test]
fn it_closes_once_nobody_has_reported_it_for_a_while() {
    let mut watch = Watch::default();
    watch.observe(1, &[report("a", true, &["/x"])]);
    assert_eq!(watch.observe(5, &[report("a", true, &[])]), [], "it may flicker");
    assert_eq!(
        watch.observe(6, &[report("a", true, &["/x"])]),
        [],
        "and does: it is the same incident"
    );
    assert_eq!(watch.observe(7, &[report("a", true, &[])]), []);
    assert_eq!(watch.observe(16, &[report("a", true, &[])]), []);
    let changes = watch.observe(17, &[report("a", true, &[])]);
    let [Change::Closed(closed)] = changes.as_slice() else {
        panic!("{changes:?}")
    };
    assert_eq!((closed.state, closed.closed), (IncidentState::Closed, Some(at(17))));
    assert_eq!(watch.incidents.open(), 0);
    let changes = watch.observe(30, &[report("a", true, &["/x"])]);
    assert!(
        matches!(changes.as_slice(), [Change::Opened(again)] if again.id != closed.id),
        "{changes:?}"
    );
}

#[test]
fn silence_is_no_evidence_until_the_registration_lapses() {
    let mut watch = Watch::default();
    watch.observe(1, &[report("a", true, &["/x"]), report("b", true, &[])]);
    assert_eq!(
        watch.observe(50, &[report("a", false, &["/x"]), report("b", true, &[])]),
        []
    );
    // A successor under the same name has not reported yet.
    assert_eq!(
        watch.observe(60, &[report("a", false, &[]), report("b", true, &[])]),
        []
    );
    assert_eq!(
        watch.incidents.open(),
        1,
        "b never had it, so its word is none about it"
    );
    assert_eq!(watch.observe(70, &[report("b", true, &[])]), []);
    assert_eq!(watch.observe(80, &[report("b", true, &[])]).len(), 1, "a is gone");
    assert_eq!(
        watch.observe(81, &[report("c", false, &["/z"])]),
        [],
        "an old word opens nothing"
    );
}

#[test]
fn another_reporter_that_withdraws_it_speaks_for_the_silent() {
    let mut watch = Watch::default();
    watch.observe(1, &[report("a", true, &["/x"]), report("b", true, &["/x"])]);
    watch.observe(2, &[report("a", false, &["/x"]), report("b", true, &["/x"])]);
    assert_eq!(
        watch.observe(3, &[report("a", false, &["/x"]), report("b", true, &[])]),
        []
    );
    assert_eq!(
        watch
            .observe(13, &[report("a", false, &["/x"]), report("b", true, &[])])
            .len(),
        1
    );
}

#[test]
fn a_withdrawal_does_not_speak_for_those_that_answer() {
    let mut watch = Watch::default();
    watch.observe(1, &[report("a", true, &["/x"]), report("b", true, &["/x"])]);
    watch.observe(2, &[report("a", true, &["/x"]), report("b", true, &[])]);
    assert_eq!(
        watch.observe(60, &[report("a", false, &["/x"]), report("b", true, &[])]),
        []
    );
    assert_eq!(watch.incidents.open(), 1, "b withdrew it while a still reported it");
}

#[test]
fn the_number_of_standing_conditions_is_bounded() {
    let mut watch = Watch::default();
    let keys: Vec<String> = (0..STANDING_MAX + 10).map(|number| number.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let many = [report("a", true, &keys)];
    assert_eq!(watch.observe(1, &many).len(), STANDING_MAX);
    assert_eq!(watch.observe(2, &many), []);
    assert_eq!(watch.incidents.open(), STANDING_MAX);
}
