//! Ids keep the order of opening.

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
    let mut rules = Rules::new(Random::seeded(1));
    let late = 1_000_000_000_000_000;
    rules.look(&live(&["a", "b"], late), Timestamp::from_micros(late));
    assert!(rules.look(&live(&["b"], late), Timestamp::from_micros(late)));
    assert!(rules.look(&live(&[], late), Timestamp::from_micros(late - 900_000_000)));
    let subjects: Vec<_> = rules.incidents().into_iter().map(|incident| incident.subject).collect();
    assert_eq!(subjects, ["b", "a"], "the newest first");
    assert_eq!(rules.open(), 2);
    assert!(!rules.look(&live(&[], late), Timestamp::from_micros(late)));
}
