//! Which version answers a request, and what a caller learns where none does.

use lepton_domain::model::{Signature, Version};

use super::*;
use crate::model::{RunError, Tensor};

#[derive(Debug)]
struct Model1(Signature, BTreeMap<String, String>);

impl LoadedModel for Model1 {
    fn signature(&self) -> &Signature {
        &self.0
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.1
    }

    fn run(&self, _inputs: Vec<Tensor>, _stop: &dyn Fn() -> bool) -> Result<Vec<Tensor>, RunError> {
        Err(RunError::Stopped)
    }
}

fn model() -> Arc<dyn LoadedModel> {
    Arc::new(Model1(Signature::default(), BTreeMap::new()))
}

/// A registry of one model "m" with versions 1 to 3.
fn registry(deployed: Option<u32>, previous: Option<u32>) -> Option<Arc<ModelMap>> {
    let version = |number| Version {
        number,
        digest: lepton_domain::ids::ContentDigest([0; 32]),
        blob: String::new(),
        bytes: 0,
        created: Default::default(),
        signature: Default::default(),
        lineage: Default::default(),
    };
    let mut registered = Model::new("m");
    registered.versions = (1..=3).map(version).collect();
    registered.deployed = deployed;
    registered.previous = previous;
    Some(Arc::new([("m".to_owned(), Arc::new(registered))].into_iter().collect()))
}

fn snapshot(registry: Option<Arc<ModelMap>>, loaded: &[u32]) -> Snapshot {
    let versions: BTreeMap<u32, _> = loaded.iter().map(|number| (*number, model())).collect();
    Snapshot {
        registry,
        loaded: [("m".to_owned(), versions)].into(),
        status: Vec::new(),
    }
}

fn found(snapshot: &Snapshot, version: Option<u32>) -> Result<u32, CacheError> {
    snapshot.find("m", version).map(|served| served.version)
}

#[test]
fn the_deployed_version_answers_and_its_predecessor_until_it_is_there() {
    let both = snapshot(registry(Some(2), Some(1)), &[1, 2, 3]);
    assert_eq!(found(&both, None), Ok(2));
    let former = snapshot(registry(Some(2), Some(1)), &[1, 3]);
    assert_eq!(found(&former, None), Ok(1));
    let neither = snapshot(registry(Some(2), Some(1)), &[3]);
    let error = found(&neither, None).unwrap_err();
    assert!(matches!(error, CacheError::NotReady { version: 2, .. }), "{error}");
}

#[test]
fn a_version_that_is_named_is_that_one_or_none() {
    let one = snapshot(registry(Some(2), Some(1)), &[1, 2]);
    assert_eq!(found(&one, Some(1)), Ok(1));
    let error = found(&one, Some(3)).unwrap_err();
    assert!(matches!(error, CacheError::NotReady { version: 3, .. }), "{error}");
    // What is in memory is served while etcd is away from the start.
    assert_eq!(found(&snapshot(None, &[1]), Some(1)), Ok(1));
}

#[test]
fn callers_learn_why_no_version_answers() {
    let name = || "m".to_owned();
    let unread = found(&snapshot(None, &[1]), None);
    assert_eq!(unread, Err(CacheError::RegistryUnread { name: name() }));
    let absent = found(&snapshot(Some(Arc::default()), &[1]), None);
    assert_eq!(absent, Err(CacheError::NotFound { name: name() }));
    let undeployed = found(&snapshot(registry(None, Some(1)), &[1]), None);
    assert_eq!(undeployed, Err(CacheError::NotDeployed { name: name() }));
    let passing = |error: Result<u32, CacheError>| error.unwrap_err().is_passing();
    assert_eq!(
        (passing(unread), passing(absent), passing(undeployed)),
        (true, false, false)
    );
}

#[test]
fn the_state_of_a_version_that_is_not_ready_is_named() {
    let words = |state: Option<(State, &str)>| {
        let mut snapshot = snapshot(registry(Some(2), None), &[]);
        snapshot.status = state
            .map(|(state, message)| LoadedVersion {
                name: "m".to_owned(),
                version: 2,
                state,
                message: message.to_owned(),
            })
            .into_iter()
            .collect();
        found(&snapshot, None).unwrap_err().to_string()
    };
    assert!(words(None).ends_with("is not in this worker's memory"));
    assert!(words(Some((State::Loading, ""))).ends_with("is being loaded here"));
    assert!(words(Some((State::Failed, "broken"))).ends_with("could not be loaded here: broken"));
}
