//! Which workers have which versions, and which version each model serves now.
//!
//! Promises: made anew whenever a record, a worker's entry or who answers changes, so that a request only looks things
//! up; the last good board stays while etcd is away. Leaves waiting, and asking etcd, to `route`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lepton_coordination::registry::{Directory, Instances, NodeState};
use lepton_domain::ids::InstanceId;
use lepton_domain::model::{Model, serving};
use lepton_mesh::channel::pool::Pool;
use lepton_models::{ModelMap, Models, loaded};
use tokio::sync::watch;

/// What is known of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its record.
    pub model: Arc<Model>,
    /// The version for requests that name none.
    pub serving: Option<u32>,
    /// How the workers stand to each version that one of them knows.
    pub versions: BTreeMap<u32, Holders>,
}

/// How the workers stand to a version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holders {
    /// Those that answer requests for it.
    pub ready: BTreeSet<InstanceId>,
    /// Those that load it.
    pub loading: BTreeSet<InstanceId>,
    /// Those that could not load it, with their words.
    pub failed: BTreeMap<InstanceId, String>,
}

impl Place {
    /// Whether this worker answers requests for the version.
    pub fn has(&self, version: u32, worker: &InstanceId) -> bool {
        self.versions
            .get(&version)
            .is_some_and(|holders| holders.ready.contains(worker))
    }
}

/// Every model by name.
pub type Board = BTreeMap<String, Place>;

/// What boards are drawn from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The records.
    pub models: Models,
    /// What the workers tell.
    pub workers: Directory,
    /// Which of them answer: an entry outlives its worker by some seconds.
    pub pool: Pool,
}

impl Sources {
    /// The board as of this moment.
    pub fn draw(&self) -> Board {
        let (models, workers) = (self.models.view(), self.workers.view());
        draw(&models.borrow(), &workers.borrow(), &self.pool.live())
    }
}

/// Keeps the board until everyone who reads it is gone.
pub async fn keep(sources: Sources, board: watch::Sender<Arc<Board>>) {
    let (mut models, mut workers) = (sources.models.view(), sources.workers.view());
    loop {
        models.mark_unchanged();
        workers.mark_unchanged();
        let now = sources.draw();
        board.send_if_modified(|board| {
            let news = **board != now;
            if news {
                *board = Arc::new(now);
            }
            news
        });
        let changed = tokio::select! {
            changed = models.changed() => changed,
            changed = workers.changed() => changed,
            () = sources.pool.changed() => Ok(()),
            () = board.closed() => return,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// The board of these models and workers, of whom some are heard.
pub fn draw(models: &ModelMap, workers: &Instances, heard: &BTreeSet<InstanceId>) -> Board {
    let mut board: Board = models
        .iter()
        .map(|(name, model)| (name.clone(), place(model)))
        .collect();
    let staying = workers
        .values()
        .filter(|worker| worker.service == "worker" && worker.state != NodeState::Draining);
    let mut live = BTreeSet::new();
    for worker in staying {
        if heard.contains(&worker.id) {
            live.insert(&worker.id);
        }
        for told in loaded::of(worker) {
            let Some(place) = board.get_mut(&told.name) else {
                continue;
            };
            let holders = place.versions.entry(told.version).or_default();
            match told.state {
                loaded::State::Ready => drop(holders.ready.insert(worker.id.clone())),
                loaded::State::Loading => drop(holders.loading.insert(worker.id.clone())),
                loaded::State::Failed => drop(holders.failed.insert(worker.id.clone(), told.message)),
            }
        }
    }
    for place in board.values_mut() {
        place.serving = choose(place, &live);
    }
    board
}

fn place(model: &Arc<Model>) -> Place {
    Place {
        model: model.clone(),
        serving: None,
        versions: BTreeMap::new(),
    }
}

fn choose(place: &Place, live: &BTreeSet<&InstanceId>) -> Option<u32> {
    let holders = |version: u32| place.versions.get(&version);
    let ready = |version: u32| {
        let ready = holders(version).into_iter().flat_map(|holders| &holders.ready);
        ready.filter(|worker| live.contains(worker)).count()
    };
    // Who could not load the deployed version will not carry it.
    let failed = place.model.deployed.and_then(holders);
    let failed = failed.into_iter().flat_map(|holders| holders.failed.keys());
    let failed = failed.filter(|worker| live.contains(worker)).count();
    serving(&place.model, &ready, live.len() - failed)
}
