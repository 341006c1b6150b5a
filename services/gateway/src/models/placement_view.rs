//! Placement of models: the workers of each version, and the version that each model serves now.
//!
//! Promises: built anew whenever a record, a worker's entry or its liveness changes, so that a request only looks things
//! up; the last good view stays while etcd is away. Leaves waiting, and reads of etcd, to [`super::routing`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lepton_coordination::registry::{Directory, Instances, NodeState};
use lepton_domain::ids::InstanceId;
use lepton_domain::model::{Model, serving};
use lepton_mesh::channel::pool::Pool;
use lepton_models::{ModelMap, Models, loaded};
use tokio::sync::watch;

/// Placement of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPlacement {
    /// Its record.
    pub model: Arc<Model>,
    /// The version for requests that name none.
    pub serving: Option<u32>,
    /// Replicas of each version that a worker knows.
    pub versions: BTreeMap<u32, Replicas>,
}

/// The workers of a version, by [`loaded::State`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replicas {
    /// Those that answer requests for it.
    pub ready: BTreeSet<InstanceId>,
    /// Those that load it.
    pub loading: BTreeSet<InstanceId>,
    /// Those that could not load it, with their errors.
    pub failed: BTreeMap<InstanceId, String>,
}

impl ModelPlacement {
    /// True where this worker answers requests for the version.
    pub fn has(&self, version: u32, worker: &InstanceId) -> bool {
        self.versions
            .get(&version)
            .is_some_and(|replicas| replicas.ready.contains(worker))
    }
}

/// Every model by name.
pub type PlacementView = BTreeMap<String, ModelPlacement>;

/// Sources of a [`PlacementView`].
#[derive(Debug, Clone)]
pub struct Sources {
    /// The records.
    pub models: Models,
    /// The entries of the workers.
    pub workers: Directory,
    /// Liveness of the workers: an entry outlives its worker by some seconds.
    pub pool: Pool,
}

impl Sources {
    /// The view as of this moment.
    pub fn build(&self) -> PlacementView {
        let (models, workers) = (self.models.view(), self.workers.view());
        build(&models.borrow(), &workers.borrow(), &self.pool.live())
    }
}

/// Keeps the view up to date until its readers are gone.
pub async fn keep(sources: Sources, view: watch::Sender<Arc<PlacementView>>) {
    let (mut models, mut workers) = (sources.models.view(), sources.workers.view());
    loop {
        models.mark_unchanged();
        workers.mark_unchanged();
        let now = sources.build();
        view.send_if_modified(|view| {
            let news = **view != now;
            if news {
                *view = Arc::new(now);
            }
            news
        });
        let changed = tokio::select! {
            changed = models.changed() => changed,
            changed = workers.changed() => changed,
            () = sources.pool.changed() => Ok(()),
            () = view.closed() => return,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Builds the view of these models and workers, of which some are live.
pub fn build(models: &ModelMap, workers: &Instances, reachable: &BTreeSet<InstanceId>) -> PlacementView {
    let mut view: PlacementView = models
        .iter()
        .map(|(name, model)| (name.clone(), placement(model)))
        .collect();
    let staying = workers
        .values()
        .filter(|worker| worker.service == "worker" && worker.state != NodeState::Draining);
    let mut live = BTreeSet::new();
    for worker in staying {
        if reachable.contains(&worker.id) {
            live.insert(&worker.id);
        }
        for reported in loaded::of(worker) {
            let Some(placement) = view.get_mut(&reported.name) else {
                continue;
            };
            let replicas = placement.versions.entry(reported.version).or_default();
            match reported.state {
                loaded::State::Ready => drop(replicas.ready.insert(worker.id.clone())),
                loaded::State::Loading => drop(replicas.loading.insert(worker.id.clone())),
                loaded::State::Failed => drop(replicas.failed.insert(worker.id.clone(), reported.message)),
            }
        }
    }
    for placement in view.values_mut() {
        placement.serving = choose(placement, &live);
    }
    view
}

fn placement(model: &Arc<Model>) -> ModelPlacement {
    ModelPlacement {
        model: model.clone(),
        serving: None,
        versions: BTreeMap::new(),
    }
}

fn choose(placement: &ModelPlacement, live: &BTreeSet<&InstanceId>) -> Option<u32> {
    let replicas = |version: u32| placement.versions.get(&version);
    let ready = |version: u32| {
        let ready = replicas(version).into_iter().flat_map(|replicas| &replicas.ready);
        ready.filter(|worker| live.contains(worker)).count()
    };
    // Who could not load the deployed version will not carry it.
    let failed = placement.model.deployed.and_then(replicas);
    let failed = failed.into_iter().flat_map(|replicas| replicas.failed.keys());
    let failed = failed.filter(|worker| live.contains(worker)).count();
    serving(&placement.model, &ready, live.len() - failed)
}
