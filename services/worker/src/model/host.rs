//! Which models are in this worker's memory: those that are deployed, and for a while those that were.
//!
//! Promises: a request that has found its model keeps it until it is answered; a former version stays until its
//! successor has answered for some seconds; what is in memory goes on being served while etcd or the blob store is away.
//! Leaves deciding what is deployed to the registry, and which worker is asked to the gateways.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lepton_domain::model::{Model, not_found};
use lepton_domain::reason::{Fault, Reason};
use lepton_models::loaded::{self, Loaded};
use lepton_models::{ModelMap, Models};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Loaded as Runs;

pub use keeper::{Keeper, Room};

mod keeper;
mod load;
mod plan;

/// How long a request waits for a model that is on its way.
const PATIENCE: Duration = Duration::from_secs(2);

/// Models that are ready, by name and number.
type Shelf = BTreeMap<String, BTreeMap<u32, Arc<dyn Runs>>>;

/// The models in memory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Host {
    models: Models,
    shelf: watch::Receiver<Arc<Shelf>>,
    told: watch::Receiver<Vec<Loaded>>,
}

/// A version that answers a request.
#[derive(Debug, Clone)]
pub struct Served {
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: u32,
    /// What runs.
    pub model: Arc<dyn Runs>,
}

impl Host {
    /// What other instances are told, and its changes.
    pub fn told(&self) -> watch::Receiver<Vec<Loaded>> {
        self.told.clone()
    }

    /// The version with this number, or the one that is served; waits a little for one that is on its way. Fails with
    /// MODEL_NOT_READY, MODEL_NOT_FOUND and MODEL_NOT_DEPLOYED.
    pub async fn find(&self, name: &str, version: Option<u32>) -> Result<Served, Fault> {
        let mut shelf = self.shelf.clone();
        let found = async {
            loop {
                let fault = match self.look(name, version) {
                    Err(fault) if fault.reason == Reason::ModelNotReady => fault,
                    decided => return decided,
                };
                // The end of the keeper is the end of the worker.
                if shelf.changed().await.is_err() {
                    return Err(fault);
                }
            }
        };
        let found = timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| self.look(name, version))
    }

    /// What [`Host::find`] finds without waiting.
    pub fn look(&self, name: &str, version: Option<u32>) -> Result<Served, Fault> {
        let shelf = self.shelf.borrow().clone();
        let here = shelf.get(name);
        let served = |number: u32| {
            let model = here.and_then(|versions| versions.get(&number)).cloned();
            model.map(|model| Served {
                name: name.to_owned(),
                version: number,
                model,
            })
        };
        if let Some(number) = version {
            return served(number).ok_or_else(|| self.not_ready(name, number));
        }
        let model = self.deployed(name)?;
        let Some(number) = model.deployed else {
            return Err(not_deployed(name));
        };
        // A former version answers as long as the new one is not there.
        let former = || model.previous.and_then(served);
        served(number)
            .or_else(former)
            .ok_or_else(|| self.not_ready(name, number))
    }

    /// The numbers of a model's versions, as the registry knows them.
    pub fn versions(&self, name: &str) -> Vec<u32> {
        let view = self.models.view();
        let model = view.borrow().get(name).cloned();
        model.map_or_else(Vec::new, |model| {
            model.versions.iter().map(|version| version.number).collect()
        })
    }

    fn deployed(&self, name: &str) -> Result<Arc<Model>, Fault> {
        let view: watch::Receiver<Arc<ModelMap>> = self.models.view();
        let found = view.borrow().get(name).cloned();
        match found {
            Some(model) => Ok(model),
            None if self.models.is_known() => Err(not_found(name)),
            None => {
                let message = format!("which models there are is not known yet; {name:?} may be one");
                Err(Fault::new(Reason::ModelNotReady, message).with("model", name))
            }
        }
    }

    fn not_ready(&self, name: &str, number: u32) -> Fault {
        let told = self.told.borrow();
        let why = told.iter().find(|it| it.name == name && it.version == number);
        let why = match why.map(|told| (told.state, &told.message)) {
            Some((loaded::State::Failed, message)) => format!("could not be loaded here: {message}"),
            Some(_) => "is being loaded here".to_owned(),
            None => "is not in this worker's memory".to_owned(),
        };
        let message = format!("version {number} of model {name:?} {why}");
        Fault::new(Reason::ModelNotReady, message)
            .with("model", name)
            .with("version", number.to_string())
            .retry_after(PATIENCE / 4)
    }
}

fn not_deployed(name: &str) -> Fault {
    let message = format!("no version of model {name:?} is deployed; deploy one, or name one that is loaded");
    Fault::new(Reason::ModelNotDeployed, message).with("model", name)
}
