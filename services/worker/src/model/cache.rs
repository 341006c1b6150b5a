//! Models in this worker's memory: the deployed versions, and for a while those that were deployed before.
//!
//! Promises: a request that has found its model keeps it until it is answered; a former version stays until its
//! successor has answered for some seconds; what is in memory goes on being served while etcd or the blob store is away.
//! Leaves deployments to the registry, and the choice of a worker to the gateways.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lepton_domain::model::Model;
use lepton_models::ModelMap;
use lepton_models::loaded::{Loaded as LoadedVersion, State};
use tokio::sync::watch;
use tokio::time::timeout;

use super::LoadedModel;

pub(crate) use loader::{CacheLimits, Loader};

mod fetch;
mod loader;
mod plan;
#[cfg(test)]
mod tests;

/// Time that a request waits for a model that is on its way.
const PATIENCE: Duration = Duration::from_secs(2);

/// Each [`LoadedModel`] that is ready, by name and number.
type LoadedModels = BTreeMap<String, BTreeMap<u32, Arc<dyn LoadedModel>>>;

/// The models in memory, which a [`Loader`] keeps there. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ModelCache {
    snapshot: watch::Receiver<Arc<Snapshot>>,
    status: watch::Receiver<Vec<LoadedVersion>>,
}

/// A version that answers a request, found by [`ModelCache::find`].
#[derive(Debug, Clone)]
pub(crate) struct ServedModel {
    pub(crate) name: String,
    pub(crate) version: u32,
    /// The version, ready to run.
    pub(crate) model: Arc<dyn LoadedModel>,
}

/// A model that [`ModelCache::find`] does not find.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CacheError {
    /// No model of this name.
    #[error("there is no model {name:?}")]
    NotFound { name: String },
    /// A registry that has not been read yet.
    #[error("which models there are is not known yet; {name:?} may be one")]
    RegistryUnread { name: String },
    /// A model without a deployed version.
    #[error("no version of model {name:?} is deployed; deploy one, or name one that is loaded")]
    NotDeployed { name: String },
    /// A version that does not answer yet, or not here.
    #[error("version {version} of model {name:?} {state}")]
    NotReady {
        name: String,
        version: u32,
        /// State of the version in this worker, for people.
        state: String,
    },
}

impl CacheError {
    /// Time after which a caller of a version that is not ready should try again.
    pub(crate) const RETRY_AFTER: Duration = Duration::from_millis(500);

    /// Returns whether the model may be there in a moment.
    fn is_passing(&self) -> bool {
        matches!(self, Self::RegistryUnread { .. } | Self::NotReady { .. })
    }
}

impl ModelCache {
    /// State of every version that others may know of, for the registry.
    pub(crate) fn status(&self) -> watch::Receiver<Vec<LoadedVersion>> {
        self.status.clone()
    }

    /// Finds the version with this number, or the one that is served; waits a little for one that is on its way.
    pub(crate) async fn find(&self, name: &str, version: Option<u32>) -> Result<ServedModel, CacheError> {
        let mut snapshot = self.snapshot.clone();
        let found = async {
            loop {
                let error = match self.find_now(name, version) {
                    Err(error) if error.is_passing() => error,
                    decided => return decided,
                };
                // The end of the loader is the end of the worker.
                if snapshot.changed().await.is_err() {
                    return Err(error);
                }
            }
        };
        let found = timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| self.find_now(name, version))
    }

    /// Finds a version as [`ModelCache::find`] does, without waiting.
    pub(crate) fn find_now(&self, name: &str, version: Option<u32>) -> Result<ServedModel, CacheError> {
        let snapshot = self.snapshot.borrow().clone();
        snapshot.find(name, version)
    }

    /// Numbers of a model's versions, as the registry has them.
    pub(crate) fn versions(&self, name: &str) -> Vec<u32> {
        let snapshot = self.snapshot.borrow().clone();
        let model = snapshot.registered(name);
        model.map_or_else(
            |_| Vec::new(),
            |model| model.versions.iter().map(|version| version.number).collect(),
        )
    }
}

#[cfg(test)]
impl ModelCache {
    /// A cache without models, under a registry without models.
    pub(crate) fn empty() -> Self {
        let snapshot = Snapshot {
            registry: Some(Arc::default()),
            ..Snapshot::default()
        };
        Self {
            snapshot: watch::channel(Arc::new(snapshot)).1,
            status: watch::channel(Vec::new()).1,
        }
    }
}

/// Everything that a lookup depends on, at one moment.
#[derive(Debug, Default)]
struct Snapshot {
    /// The registered models; absent until they have been read.
    registry: Option<Arc<ModelMap>>,
    loaded: LoadedModels,
    status: Vec<LoadedVersion>,
}

impl Snapshot {
    fn find(&self, name: &str, version: Option<u32>) -> Result<ServedModel, CacheError> {
        if let Some(number) = version {
            return self.served(name, number).ok_or_else(|| self.not_ready(name, number));
        }
        let model = self.registered(name)?;
        let Some(number) = model.deployed else {
            return Err(CacheError::NotDeployed { name: name.to_owned() });
        };
        // A former version answers as long as the new one is not there.
        let former = || model.previous.and_then(|number| self.served(name, number));
        self.served(name, number)
            .or_else(former)
            .ok_or_else(|| self.not_ready(name, number))
    }

    fn served(&self, name: &str, version: u32) -> Option<ServedModel> {
        let model = self.loaded.get(name)?.get(&version)?.clone();
        Some(ServedModel {
            name: name.to_owned(),
            version,
            model,
        })
    }

    fn registered(&self, name: &str) -> Result<&Model, CacheError> {
        let Some(registry) = &self.registry else {
            return Err(CacheError::RegistryUnread { name: name.to_owned() });
        };
        let model = registry.get(name).map(|model| &**model);
        model.ok_or_else(|| CacheError::NotFound { name: name.to_owned() })
    }

    fn not_ready(&self, name: &str, version: u32) -> CacheError {
        let here = self.status.iter().find(|it| it.name == name && it.version == version);
        let state = match here.map(|here| (here.state, &here.message)) {
            Some((State::Failed, message)) => format!("could not be loaded here: {message}"),
            Some(_) => "is being loaded here".to_owned(),
            None => "is not in this worker's memory".to_owned(),
        };
        CacheError::NotReady {
            name: name.to_owned(),
            version,
            state,
        }
    }
}
