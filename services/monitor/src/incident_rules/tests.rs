//! Ids keep the order of opening; who never comes is missed.

use super::*;

fn live(names: &[&str], now: u64) -> BTreeMap<InstanceId, Live> {
    let one = |name: &&str| {
        let live = Live {
            service: "worker".to_owned(),
            name: None,
            draining: false,
            since: Timestamp::default(),
            heard: Timestamp::from_micros(now),
        };
        (InstanceId::new(*name), live)
    };
    names.iter().map(one).collect()
}

#[test]
fn a_clock_that_goes_back_does_not_change_the_order() {
    let mut rules = IncidentRules::new(Random::seeded(1));
    let late = 1_000_000_000_000_000;
    rules.evaluate(&live(&["a", "b"], late), &BTreeMap::new(), Timestamp::from_micros(late));
    assert!(rules.evaluate(&live(&["b"], late), &BTreeMap::new(), Timestamp::from_micros(late)));
    assert!(rules.evaluate(
        &live(&[], late),
        &BTreeMap::new(),
        Timestamp::from_micros(late - 900_000_000)
    ));
    let subjects: Vec<_> = rules.incidents().into_iter().map(|incident| incident.subject).collect();
    assert_eq!(subjects, ["b", "a"], "the newest first");
    assert_eq!(rules.open(), 2);
    assert!(!rules.evaluate(&live(&[], late), &BTreeMap::new(), Timestamp::from_micros(late)));
}

#[test]
fn an_overdue_instance_is_missed_until_it_reports() {
    let mut rules = IncidentRules::new(Random::seeded(1));
    let at = |seconds: u64| Timestamp::from_micros(seconds * 1_000_000);
    let since = |seconds: u64| {
        let mut live = live(&["a"], seconds * 1_000_000);
        live.values_mut().for_each(|it| it.since = at(seconds));
        live
    };
    assert!(!rules.evaluate(&since(16), &BTreeMap::new(), at(16)), "it is expected");
    assert!(
        rules.evaluate(&BTreeMap::new(), &BTreeMap::new(), at(16)),
        "and not there"
    );
    assert_eq!(rules.open(), 1);
    assert!(!rules.evaluate(&since(30), &BTreeMap::new(), at(31)));
    assert!(
        rules.evaluate(&since(30), &BTreeMap::new(), at(33)),
        "it answers steadily"
    );
    assert_eq!(rules.open(), 0);
}
