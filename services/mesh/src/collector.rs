//! Receivers of traces in the mesh: the leading monitor, and the others while it does not answer.
//!
//! Promises: the last address stays while etcd is away. Leaves sending to `export`.

use std::sync::Arc;

use lepton_domain::ids::InstanceId;
use tokio::sync::watch;

use lepton_coordination::election::LeaderWatch;
use lepton_coordination::etcd::Etcd;
use lepton_coordination::registry::{Directory, Instance, Instances, NodeState};
use lepton_core::context::Context;

/// The key in a monitor's metadata under which the address of its receiver stands.
pub const OTLP: &str = "otlp";
/// The service that receives.
const RECEIVING: &str = "monitor";

/// Keeps `addresses` true, the best first, until nobody reads them.
pub async fn follow(etcd: Etcd, context: Context, addresses: Arc<watch::Sender<Vec<String>>>) {
    let directory = Directory::start(etcd.clone(), Some(RECEIVING), &context);
    let leader = LeaderWatch::start(etcd, RECEIVING);
    let (mut monitors, mut leading) = (directory.view(), leader.view());
    loop {
        let leads = leading
            .borrow_and_update()
            .as_ref()
            .map(|leader| leader.instance.clone());
        let chosen = choose(&monitors.borrow_and_update(), leads.as_ref());
        addresses.send_if_modified(|old| {
            let news = *old != chosen;
            *old = chosen;
            news
        });
        let alive = tokio::select! {
            changed = monitors.changed() => changed.is_ok(),
            changed = leading.changed() => changed.is_ok(),
            () = addresses.closed() => false,
        };
        if !alive {
            return;
        }
    }
}

/// The receivers: the leader's first, those of monitors that drain last.
fn choose(monitors: &Instances, leader: Option<&InstanceId>) -> Vec<String> {
    let rank = |monitor: &&Instance| {
        let leads = Some(&monitor.id) == leader;
        (monitor.state == NodeState::Draining, !leads)
    };
    let mut monitors: Vec<&Instance> = monitors.values().collect();
    monitors.sort_by_key(rank);
    let addresses = monitors
        .iter()
        .filter_map(|monitor| monitor.metadata.get(OTLP).cloned());
    addresses.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lepton_domain::time::Timestamp;

    use super::*;

    fn monitor(name: &str, state: NodeState, otlp: bool) -> (InstanceId, Instance) {
        let metadata = otlp.then(|| (OTLP.to_owned(), format!("{name}:4317")));
        let instance = Instance {
            id: name.into(),
            service: RECEIVING.to_owned(),
            address: format!("{name}:8080"),
            state,
            version: String::new(),
            started: Timestamp::default(),
            metadata: metadata.into_iter().collect::<BTreeMap<_, _>>(),
        };
        (name.into(), instance)
    }

    #[test]
    fn the_leader_receives_and_the_others_in_its_place() {
        let mut monitors: Instances = [
            monitor("a", NodeState::Ready, true),
            monitor("b", NodeState::Ready, true),
            monitor("old", NodeState::Ready, false),
        ]
        .into();
        let chosen = |monitors: &Instances, leader: &str| choose(monitors, Some(&leader.into()));
        assert_eq!(chosen(&monitors, "b"), ["b:4317", "a:4317"]);
        assert_eq!(choose(&monitors, None), ["a:4317", "b:4317"]);
        assert_eq!(
            chosen(&monitors, "old"),
            ["a:4317", "b:4317"],
            "a leader that receives nothing"
        );
        monitors.extend([monitor("b", NodeState::Draining, true)]);
        assert_eq!(chosen(&monitors, "b"), ["a:4317", "b:4317"], "a leader that leaves");
        monitors.remove("a");
        assert_eq!(chosen(&monitors, "b"), ["b:4317"], "better than none");
        assert!(choose(&Instances::new(), None).is_empty());
    }
}
