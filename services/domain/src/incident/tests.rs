//! "Instance gone" opens once, closes on return, spares the drained, and forgets in order.

use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn live(names: &[(&str, bool)]) -> BTreeMap<InstanceId, Live> {
    let one = |(name, draining): &(&str, bool)| {
        (
            InstanceId::new(*name),
            Live {
                service: "worker".to_owned(),
                draining: *draining,
            },
        )
    };
    names.iter().map(one).collect()
}

struct Watch {
    incidents: Incidents,
    next: u128,
}

impl Watch {
    fn new() -> Self {
        Self {
            incidents: Incidents::new(),
            next: 0,
        }
    }

    fn observe(&mut self, names: &[(&str, bool)], seconds: u64) -> Vec<Change> {
        let next = &mut self.next;
        let mut ids = || {
            *next += 1;
            IncidentId::from_u128(*next)
        };
        observe(&mut self.incidents, &live(names), at(seconds), &mut ids)
    }
}

#[test]
fn a_loss_opens_and_a_return_closes() {
    let mut watch = Watch::new();
    assert_eq!(watch.observe(&[("a", false), ("b", false)], 1), []);
    let changes = watch.observe(&[("b", false)], 2);
    let [Change::Opened(incident)] = changes.as_slice() else {
        panic!("{changes:?}")
    };
    assert_eq!(
        (incident.subject.as_str(), incident.rule.as_str(), incident.opened),
        ("a", INSTANCE_GONE, at(2))
    );
    assert_eq!(watch.observe(&[("b", false)], 3), [], "only once");
    assert_eq!(watch.incidents.open(), 1);
    let changes = watch.observe(&[("a", false), ("b", false)], 9);
    let [Change::Closed(closed)] = changes.as_slice() else {
        panic!("{changes:?}")
    };
    assert_eq!(
        (closed.id, closed.state, closed.closed),
        (incident.id, IncidentState::Closed, Some(at(9)))
    );
    assert_eq!(watch.incidents.get(&incident.id), Some(closed));
    assert_eq!(watch.incidents.open(), 0);
}

#[test]
fn one_that_drained_is_not_missed() {
    let mut watch = Watch::new();
    watch.observe(&[("a", false)], 1);
    watch.observe(&[("a", true)], 2);
    assert_eq!(watch.observe(&[], 3), []);
}

#[test]
fn a_second_loss_is_a_second_incident() {
    let mut watch = Watch::new();
    for seconds in [1, 3, 5] {
        watch.observe(&[("a", false)], seconds);
        watch.observe(&[], seconds + 1);
    }
    let states: Vec<_> = watch.incidents.iter().map(|incident| incident.state).collect();
    assert_eq!(
        states,
        [IncidentState::Open, IncidentState::Closed, IncidentState::Closed],
        "newest first"
    );
}

#[test]
fn history_is_bounded_and_closed_ones_go_first() {
    let mut watch = Watch::new();
    watch.observe(&[("lasting", false)], 0);
    watch.observe(&[], 1);
    for round in 0..2_000 {
        watch.observe(&[("flapping", false)], round);
        watch.observe(&[], round);
    }
    assert_eq!(watch.incidents.iter().count(), INCIDENTS_MAX);
    assert_eq!(
        watch.incidents.get(&IncidentId::from_u128(1)).unwrap().subject,
        "lasting"
    );
    for instance in 0..2_000 {
        watch.observe(&[(&format!("once-{instance}"), false)], instance);
    }
    assert_eq!(watch.incidents.iter().count(), INCIDENTS_MAX);
    assert!(watch.incidents.open() <= INCIDENTS_MAX);
}
