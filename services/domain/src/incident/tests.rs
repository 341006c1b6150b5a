//! "Instance gone" opens once, closes on a lasting return or a replacement, spares the drained, and forgets in order.

use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

/// Who lives, `drains` by name, all of one service and steady since the start.
fn live(names: &[(&str, bool)], now: Timestamp) -> BTreeMap<InstanceId, Live> {
    let one = |(id, draining): &(&str, bool)| {
        (
            InstanceId::new(*id),
            Live {
                draining: *draining,
                ..steady(now)
            },
        )
    };
    names.iter().map(one).collect()
}

fn steady(now: Timestamp) -> Live {
    Live {
        service: "worker".to_owned(),
        name: None,
        draining: false,
        since: Timestamp::default(),
        heard: now,
    }
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
        self.observe_live(&live(names, at(seconds)), seconds)
    }

    fn observe_live(&mut self, live: &BTreeMap<InstanceId, Live>, seconds: u64) -> Vec<Change> {
        let next = &mut self.next;
        let mut ids = || {
            *next += 1;
            IncidentId::from_u128(*next)
        };
        observe(&mut self.incidents, live, at(seconds), &mut ids)
    }

    /// Who is missed.
    fn missed(&self) -> Vec<&str> {
        let open = self
            .incidents
            .iter()
            .filter(|incident| incident.state == IncidentState::Open);
        open.map(|incident| incident.subject.as_str()).collect()
    }
}

/// Named instances, each with the second since which it answers.
fn named(instances: &[(&str, &str, u64)], now: u64) -> BTreeMap<InstanceId, Live> {
    let one = |(id, name, since): &(&str, &str, u64)| {
        let name = Some((*name).to_owned());
        (
            InstanceId::new(*id),
            Live {
                name,
                since: at(*since),
                ..steady(at(now))
            },
        )
    };
    instances.iter().map(one).collect()
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
fn one_that_does_not_last_is_not_back() {
    let mut watch = Watch::new();
    watch.observe(&[("a", false)], 10);
    watch.observe(&[], 11);
    let back = |now| {
        BTreeMap::from([(
            InstanceId::new("a"),
            Live {
                since: at(20),
                ..steady(at(now))
            },
        )])
    };
    assert_eq!(watch.observe_live(&back(21), 21), []);
    assert_eq!(watch.observe(&[], 22), [], "it is missed already");
    assert_eq!(watch.missed(), ["a"]);
    let changes = watch.observe_live(&back(22), 22);
    assert!(matches!(changes.as_slice(), [Change::Closed(_)]), "{changes:?}");
}

#[test]
fn a_newcomer_takes_the_place_of_the_one_missed_longest_and_of_no_other() {
    let mut watch = Watch::new();
    watch.observe(&[("a", false), ("b", false), ("c", false)], 1);
    watch.observe(&[("b", false), ("c", false)], 2);
    watch.observe(&[("c", false)], 3);
    assert_eq!(
        watch.missed(),
        ["b", "a"],
        "those that were there beside them do not replace them"
    );
    let changes = watch.observe(&[("c", false), ("d", false)], 4);
    let [Change::Closed(closed)] = changes.as_slice() else {
        panic!("{changes:?}")
    };
    assert_eq!(
        (closed.subject.as_str(), closed.summary.as_str()),
        ("a", "a, a worker, stopped answering without draining; d took its place")
    );
    assert_eq!(watch.observe(&[("c", false), ("d", false)], 5), []);
    assert_eq!(watch.missed(), ["b"]);
    watch.observe(&[("c", false), ("d", false), ("e", false)], 6);
    assert_eq!(watch.missed(), Vec::<&str>::new());
}

#[test]
fn a_replacement_that_came_before_the_loss_was_noticed_counts() {
    let mut watch = Watch::new();
    watch.observe(&[("a", false)], 1);
    let mut both = live(&[("a", false), ("b", false)], at(3));
    both.insert(InstanceId::new("a"), steady(at(2)));
    watch.observe_live(&both, 3);
    let changes = watch.observe(&[("b", false)], 4);
    assert!(
        matches!(changes.as_slice(), [Change::Opened(_), Change::Closed(_)]),
        "{changes:?}"
    );
}

#[test]
fn where_places_have_names_only_the_same_name_replaces() {
    let mut watch = Watch::new();
    watch.observe_live(&named(&[("a", "worker-1", 0), ("b", "worker-2", 0)], 10), 10);
    watch.observe_live(&named(&[("b", "worker-2", 0)], 11), 11);
    watch.observe_live(&named(&[("b", "worker-2", 0), ("c", "worker-3", 12)], 20), 20);
    assert_eq!(watch.missed(), ["a"]);
    watch.observe_live(&named(&[("b", "worker-2", 0), ("d", "worker-1", 20)], 30), 30);
    assert_eq!(watch.missed(), ["c"]);
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
    for round in 10..2_010 {
        watch.observe_live(&named(&[("flapping", "flapping", 0)], round), round);
        watch.observe(&[], round);
    }
    assert_eq!(watch.incidents.iter().count(), INCIDENTS_MAX);
    assert_eq!(
        watch.incidents.get(&IncidentId::from_u128(1)).unwrap().subject,
        "lasting"
    );
    for instance in 3_000..5_000 {
        watch.observe(&[(&format!("once-{instance}"), false)], instance);
    }
    assert_eq!(watch.incidents.iter().count(), INCIDENTS_MAX);
    assert!(watch.incidents.open() <= INCIDENTS_MAX);
}

#[test]
fn what_started_together_fills_a_place_of_its_own() {
    let mut watch = Watch::new();
    watch.observe(&[("a", false)], 1);
    let mut both = live(&[("a", false), ("b", false)], at(2));
    both.insert(InstanceId::new("a"), steady(at(1)));
    watch.observe_live(&both, 2);
    watch.observe(&[("b", false)], 3);
    assert_eq!(watch.observe(&[("b", false)], 9), []);
    assert_eq!(watch.missed(), ["a"], "a mesh that starts up has no replacements yet");
}
