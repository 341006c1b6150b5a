//! Cases of the mass-vanish rule.

use super::*;
use crate::registry::Instance;
use lepton_domain::time::Timestamp;

fn instances(ids: &[&str]) -> Instances {
    ids.iter()
        .map(|id| (InstanceId::new(*id), instance(id, NodeState::Ready)))
        .collect()
}

fn instance(id: &str, state: NodeState) -> Instance {
    Instance {
        id: InstanceId::new(id),
        service: id.split('-').next().unwrap_or_default().into(),
        address: "h:1".into(),
        state,
        version: String::new(),
        started: Timestamp::default(),
        metadata: BTreeMap::new(),
    }
}

fn ids(instances: &Instances) -> Vec<&str> {
    instances.keys().map(InstanceId::as_str).collect()
}

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_single_loss_is_believed() {
    let mut retain = MassLossGuard::default();
    retain.view(instances(&["w-1", "w-2", "w-3"]), at(0));
    assert_eq!(ids(&retain.view(instances(&["w-1", "w-2"]), at(1))), ["w-1", "w-2"]);
    let mut alone = MassLossGuard::default();
    alone.view(instances(&["w-1"]), at(0));
    assert!(alone.view(Instances::new(), at(1)).is_empty());
}

#[test]
fn a_mass_loss_keeps_the_old_view_for_a_while() {
    let mut retain = MassLossGuard::default();
    let all = ["w-1", "w-2", "w-3", "w-4"];
    retain.view(instances(&all), at(0));
    assert_eq!(ids(&retain.view(instances(&["w-1", "w-2"]), at(1))), all);
    assert_eq!(retain.next_change(), Some(at(31)));
    assert_eq!(
        ids(&retain.view(instances(&["w-1", "w-2", "w-3"]), at(2))),
        ["w-1", "w-2", "w-3"]
    );
    assert_eq!(
        ids(&retain.view(instances(&["w-1", "w-2", "w-3"]), at(32))),
        ["w-1", "w-2", "w-3"]
    );
    assert_eq!(retain.next_change(), None);
}

#[test]
fn losses_one_after_the_other_within_the_window_are_a_mass() {
    let mut retain = MassLossGuard::default();
    retain.view(instances(&["w-1", "w-2", "w-3"]), at(0));
    assert_eq!(ids(&retain.view(instances(&["w-1", "w-2"]), at(1))), ["w-1", "w-2"]);
    assert_eq!(ids(&retain.view(instances(&["w-1"]), at(4))), ["w-1", "w-2", "w-3"]);
    let mut slow = MassLossGuard::default();
    slow.view(instances(&["w-1", "w-2", "w-3"]), at(0));
    slow.view(instances(&["w-1", "w-2"]), at(1));
    assert_eq!(ids(&slow.view(instances(&["w-1"]), at(9))), ["w-1"]);
}

#[test]
fn services_are_judged_apart_and_drained_ones_may_go() {
    let mut retain = MassLossGuard::default();
    retain.view(instances(&["w-1", "g-1"]), at(0));
    assert!(retain.view(Instances::new(), at(1)).is_empty());
    let mut drained = MassLossGuard::default();
    let all = ["w-1", "w-2"].map(|id| (InstanceId::new(id), instance(id, NodeState::Draining)));
    drained.view(all.into(), at(0));
    assert!(drained.view(Instances::new(), at(1)).is_empty());
}

#[test]
fn what_never_comes_back_is_dropped_in_the_end() {
    let mut retain = MassLossGuard::default();
    retain.view(instances(&["w-1", "w-2"]), at(0));
    assert_eq!(retain.view(Instances::new(), at(1)).len(), 2);
    assert!(retain.view(Instances::new(), at(31)).is_empty());
    assert_eq!(retain.next_change(), None);
}
