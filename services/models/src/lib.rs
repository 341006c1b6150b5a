//! The registry of models: one record a model in etcd, their files in the blob store.
//!
//! Promises: a change is one compare-and-swap, so two callers never undo each other's; one whose outcome is unknown is
//! settled or reported as unknown; the last good view stays while etcd is away. A file lies under a name of its own, so
//! deleting one version never hurts another. Leaves decisions to `domain::model` and loading files to the workers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lepton_domain::model::Model;
use lepton_domain::reason::ApiError;
use tokio::sync::watch;
use tokio::task::JoinSet;

use lepton_coordination::etcd::Etcd;
use lepton_coordination::etcd::watch::{Entry, PrefixCache, View};
use lepton_core::clock::Clock;
use lepton_core::context::Context;
use lepton_core::random::Random;
pub use push::{File, discard};
use record::Record;

mod change;
mod deploy;
pub mod loaded;
mod push;
mod record;
mod sweep;
#[cfg(test)]
mod tests;

/// The most models of a mesh.
pub const MODELS_MAX: usize = 1_000;

/// [`Model`]s by name; those without versions are not shown.
pub type ModelMap = BTreeMap<String, Arc<Model>>;

/// A handle on the registry. Cheap to clone; the view ends with the last clone.
#[derive(Debug, Clone)]
pub struct Models {
    etcd: Etcd,
    clock: Clock,
    random: Random,
    view: watch::Receiver<Arc<ModelMap>>,
    known: Arc<AtomicBool>,
    _cache: PrefixCache,
    _task: Arc<JoinSet<()>>,
}

impl Models {
    /// Starts to follow the registry; etcd may be away.
    pub fn start(etcd: Etcd, context: &Context) -> Self {
        let cache = PrefixCache::start(&etcd, etcd.keys().models_prefix());
        let (sender, view) = watch::channel(Arc::new(ModelMap::new()));
        let known = Arc::new(AtomicBool::new(false));
        let follower = Follower {
            prefix: etcd.keys().models_prefix(),
            read: BTreeMap::new(),
            sender,
            known: known.clone(),
        };
        let mut task = JoinSet::new();
        task.spawn(follower.run(cache.view()));
        Self {
            etcd,
            clock: context.clock,
            random: context.random.clone(),
            view,
            known,
            _cache: cache,
            _task: Arc::new(task),
        }
    }

    /// The models and their changes. May lag, and stays as it is while etcd is away.
    pub fn view(&self) -> watch::Receiver<Arc<ModelMap>> {
        self.view.clone()
    }

    /// Returns whether the view shows the registry, and is not empty only because nothing was read yet.
    pub fn is_known(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }

    /// The model of this name, from etcd itself.
    pub async fn read(&self, name: &str) -> Result<Option<Model>, ApiError> {
        let found = self.fetch(name).await?;
        Ok(found
            .map(|(record, _)| record.model)
            .filter(|model| !model.is_deleted()))
    }

    /// Every model, by name, from etcd itself.
    pub async fn list(&self) -> Result<Vec<Model>, ApiError> {
        let models = self.records().await?.into_iter().map(|(record, _)| record.model);
        Ok(models.filter(|model| !model.is_deleted()).collect())
    }

    /// The record of a model and the revision of its last change; also that of a deleted one.
    async fn fetch(&self, name: &str) -> Result<Option<(Record, i64)>, ApiError> {
        let found = self.etcd.get(self.etcd.keys().model(name)).await;
        let Some(found) = found.map_err(|error| error.api_error())? else {
            return Ok(None);
        };
        Ok(Some((record::decode(name, found.value())?, found.mod_revision())))
    }

    /// Every record, also those of deleted models, with its revision.
    async fn records(&self) -> Result<Vec<(Record, i64)>, ApiError> {
        let prefix = self.etcd.keys().models_prefix();
        let listing = self
            .etcd
            .prefix(prefix.as_str())
            .await
            .map_err(|error| error.api_error())?;
        let read = |entry: &etcd_client::KeyValue| {
            let key = String::from_utf8_lossy(entry.key());
            let name = key.strip_prefix(&prefix).unwrap_or(&key);
            Ok((record::decode(name, entry.value())?, entry.mod_revision()))
        };
        listing.entries.iter().map(read).collect()
    }
}

/// Turns the cached keys into models.
struct Follower {
    prefix: String,
    /// Records by the revision at which they were read, so that a change of one model does not read all again.
    read: BTreeMap<String, (i64, Option<Arc<Model>>)>,
    sender: watch::Sender<Arc<ModelMap>>,
    known: Arc<AtomicBool>,
}

impl Follower {
    async fn run(mut self, mut cache: watch::Receiver<Arc<View>>) {
        loop {
            let view = cache.borrow_and_update().clone();
            self.show(&view);
            self.known.store(view.revision > 0, Ordering::Release);
            if cache.changed().await.is_err() {
                return;
            }
        }
    }

    fn show(&mut self, view: &View) {
        let mut before = std::mem::take(&mut self.read);
        for (key, entry) in &view.entries {
            let known = before
                .remove(key)
                .filter(|(revision, _)| *revision == entry.mod_revision);
            let now = known.unwrap_or_else(|| (entry.mod_revision, self.decode(key, entry)));
            self.read.insert(key.clone(), now);
        }
        let models = self.read.values().filter_map(|(_, model)| model.clone());
        let shown: ModelMap = models.map(|model| (model.name.clone(), model)).collect();
        self.sender.send_if_modified(|old| {
            let news = **old != shown;
            if news {
                *old = Arc::new(shown);
            }
            news
        });
    }

    fn decode(&self, key: &str, entry: &Entry) -> Option<Arc<Model>> {
        let name = key.strip_prefix(&self.prefix)?;
        match record::decode(name, &entry.value) {
            Ok(record) => Some(Arc::new(record.model)).filter(|model| !model.is_deleted()),
            Err(error) => {
                tracing::warn!(key, %error, "a model's record is left out");
                None
            }
        }
    }
}
