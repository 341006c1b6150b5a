//! The view: who has what, what is served, and how it is shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use lepton_coordination::registry::{Instance, Instances, NodeState};
use lepton_domain::ids::{ContentDigest, InstanceId};
use lepton_domain::model::{Model, Signature, Version};
use lepton_domain::time::Timestamp;
use lepton_models::ModelMap;
use lepton_models::loaded::{self, Loaded, State as LoadState};
use lepton_proto::model::v1::State;

use super::placement_view::{PlacementView, build};
use super::show;
use LoadState::{Failed, Loading, Ready};

/// Model `m` with versions 1 and 2.
fn kept(deployed: Option<u32>, previous: Option<u32>) -> Model {
    let version = |number| Version {
        number,
        digest: ContentDigest([number as u8; 32]),
        blob: String::new(),
        bytes: 1,
        created: Timestamp::default(),
        signature: Signature::default(),
        lineage: BTreeMap::new(),
    };
    Model {
        name: "m".to_owned(),
        versions: vec![version(1), version(2)],
        deployed,
        previous,
        next: 3,
    }
}

/// A worker with these versions of `m`.
fn worker(id: &str, versions: &[(u32, LoadState)]) -> Instance {
    let told = versions.iter().map(|(version, state)| Loaded {
        name: "m".to_owned(),
        version: *version,
        state: *state,
        message: if *state == Failed {
            "odd".to_owned()
        } else {
            String::new()
        },
    });
    let told: Vec<Loaded> = told.collect();
    Instance {
        id: InstanceId::new(id),
        service: "worker".to_owned(),
        address: String::new(),
        state: NodeState::Ready,
        version: String::new(),
        started: Timestamp::default(),
        metadata: BTreeMap::from([(loaded::KEY.to_owned(), loaded::encode(&told))]),
    }
}

fn view(model: &Model, workers: Vec<Instance>) -> PlacementView {
    let models = ModelMap::from([(model.name.clone(), Arc::new(model.clone()))]);
    let workers: Instances = workers.into_iter().map(|worker| (worker.id.clone(), worker)).collect();
    let heard = workers.keys().filter(|id| !id.as_str().starts_with("dead"));
    build(&models, &workers, &heard.cloned().collect())
}

#[test]
fn what_is_served_moves_when_half_of_the_workers_have_it() {
    let model = kept(Some(2), Some(1));
    let serving = |workers| view(&model, workers)["m"].serving;
    let old = || worker("w-1", &[(1, Ready)]);
    assert_eq!(
        serving(vec![old(), worker("w-2", &[(1, Ready), (2, Loading)])]),
        Some(1)
    );
    assert_eq!(serving(vec![old(), worker("w-2", &[(1, Ready), (2, Ready)])]), Some(2));
    // Two of three cannot load it: the one that can carries it.
    let failed = |id| worker(id, &[(1, Ready), (2, Failed)]);
    assert_eq!(
        serving(vec![failed("w-1"), failed("w-2"), worker("w-3", &[(2, Ready)])]),
        Some(2)
    );
    let dead = |id| worker(id, &[(1, Ready)]);
    let fresh = worker("w-1", &[(2, Ready)]);
    assert_eq!(
        serving(vec![dead("dead-1"), dead("dead-2"), fresh]),
        Some(2),
        "who is not heard does not count"
    );
    let mut leaving = worker("w-2", &[(2, Ready)]);
    leaving.state = NodeState::Draining;
    assert_eq!(serving(vec![old(), leaving]), Some(1));
}

#[test]
fn states_follow_the_workers() {
    let model = kept(Some(2), Some(1));
    let shown = |workers| {
        let shown = show::model(&model, &view(&model, workers));
        shown.versions.into_iter().next().expect("version 2")
    };
    assert_eq!(shown(Vec::new()).state(), State::Loading);
    assert_eq!(shown(vec![worker("w-1", &[(2, Loading)])]).state(), State::Loading);
    let mixed = shown(vec![worker("w-1", &[(2, Failed)]), worker("w-2", &[(2, Ready)])]);
    assert_eq!((mixed.state(), mixed.loaded_on), (State::Ready, vec!["w-2".to_owned()]));
    let failed = shown(vec![worker("w-1", &[(2, Failed)])]);
    assert_eq!((failed.state(), failed.message.as_str()), (State::Failed, "w-1: odd"));
    let undeployed = kept(None, Some(2));
    let view = view(&undeployed, vec![worker("w-1", &[(2, Ready)])]);
    let shown = show::model(&undeployed, &view);
    assert_eq!(shown.versions[0].state(), State::Stored);
    assert_eq!(shown.versions[0].loaded_on, ["w-1"]);
}
