//! The format that all schedulers have in common.

use std::collections::BTreeMap;

use lepton_coordination::registry::{Instance, NodeState};
use lepton_domain::time::Timestamp;

use super::common as common_format;
use super::*;

fn scheduler(name: &str, format: Option<&str>) -> (InstanceId, Instance) {
    let id = InstanceId::new(name);
    let label = format.map(|format| (FORMAT_LABEL.to_owned(), format.to_owned()));
    let instance = Instance {
        id: id.clone(),
        service: "scheduler".to_owned(),
        address: "127.0.0.1:1".to_owned(),
        state: NodeState::Ready,
        version: "1".to_owned(),
        started: Timestamp::default(),
        metadata: BTreeMap::from_iter(label),
    };
    (id, instance)
}

#[test]
fn the_oldest_scheduler_decides() {
    let own = InstanceId::new("a");
    let common = |schedulers: &[(InstanceId, Instance)]| common_format(&schedulers.iter().cloned().collect(), &own);
    assert_eq!(common(&[]), None, "nothing has been read");
    assert_eq!(common(&[scheduler("b", Some("2"))]), None, "its own entry is missing");
    assert_eq!(common(&[scheduler("a", Some("2"))]), Some(2));
    let newer = scheduler("b", Some("3"));
    assert_eq!(common(&[scheduler("a", Some("2")), newer.clone()]), Some(2));
    let older = scheduler("c", None);
    assert_eq!(common(&[scheduler("a", Some("2")), newer.clone(), older]), Some(1));
    let odd = scheduler("d", Some("two"));
    assert_eq!(
        common(&[scheduler("a", Some("2")), odd]),
        Some(1),
        "what cannot be read is not believed"
    );
}
