//! The task that owns the models in memory.
//!
//! Promises: decides anew whenever the registry changes, a load ends or a time comes; loads go on side by side, but only
//! so many. Leaves decisions to [`plan`].

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use lepton_core::blob::Blobs;
use lepton_core::clock::Clock;
use lepton_core::context::Context;
use lepton_core::metrics::{Counters, Gauge, own};
use lepton_domain::model::Version;
use lepton_models::loaded::{Loaded as LoadedVersion, State};
use lepton_models::{ModelMap, Models};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tracing::Instrument;

use super::fetch::{FetchError, Fetcher};
use super::plan::{self, EntryState, Key, Stage};
use super::{LoadedModels, ModelCache, Snapshot};
use crate::cpu_pool::CpuPool;
use crate::model::{Backend, LoadedModel};
use crate::panics::panic_message;

#[cfg(test)]
mod tests;

/// Interval at which the registry is checked until it has been read: that it is empty is no change of it.
const UNREAD_RECHECK: Duration = Duration::from_millis(100);

/// End of a load: of which version, under which ticket, and with which result.
type LoadEnd = (Key, u64, Result<Arc<dyn LoadedModel>, FetchError>);

/// Limits of the models in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CacheLimits {
    /// Bytes of model files. A model takes some multiple of its file in memory.
    pub(crate) files_bytes_max: u64,
    /// Models that load at once.
    pub(crate) loads_max: usize,
}

/// Loads and unloads the models of a [`ModelCache`].
#[derive(Debug)]
pub(crate) struct Loader {
    registry: Models,
    clock: Clock,
    limits: CacheLimits,
    fetcher: Fetcher,
    snapshot: watch::Sender<Arc<Snapshot>>,
    status: watch::Sender<Vec<LoadedVersion>>,
    entries: BTreeMap<Key, CacheEntry>,
    loads: JoinSet<LoadEnd>,
    /// Numbers loads, so that the end of one that was given up is not taken for that of its successor.
    ticket: u64,
    outcomes: Counters,
    ready: Gauge,
}

/// A version in memory or on its way there; [`EntryState`] is its part in decisions.
#[derive(Debug)]
struct CacheEntry {
    bytes: u64,
    content: Content,
    failures: u32,
    leaves_at: Option<Duration>,
}

#[derive(Debug)]
enum Content {
    Loading {
        ticket: u64,
        load: AbortHandle,
    },
    Ready(Arc<dyn LoadedModel>),
    Failed {
        message: String,
        retry_at: Option<Duration>,
    },
}

impl Loader {
    /// A loader without models, and the cache that it will fill.
    pub(crate) fn new(
        registry: Models,
        blobs: watch::Receiver<Option<Blobs>>,
        backend: Arc<dyn Backend>,
        limits: CacheLimits,
        context: &Context,
    ) -> (Self, ModelCache) {
        let (snapshot, snapshot_seen) = watch::channel(Arc::new(Snapshot::default()));
        let (status, status_seen) = watch::channel(Vec::new());
        let cache = ModelCache {
            snapshot: snapshot_seen,
            status: status_seen,
        };
        let fetcher = Fetcher {
            blobs,
            backend,
            cpu_pool: CpuPool::new(limits.loads_max.max(1)),
        };
        let outcomes = context
            .metrics
            .counters("lepton_model_loads_total", "Loads of models that ended, by outcome");
        let ready = context
            .metrics
            .gauge("lepton_models_ready", "Versions of models in memory", &[]);
        let loader = Self {
            registry,
            clock: context.clock,
            limits,
            fetcher,
            snapshot,
            status,
            entries: BTreeMap::new(),
            loads: JoinSet::new(),
            ticket: 0,
            outcomes,
            ready,
        };
        (loader, cache)
    }

    /// Works for ever.
    pub(crate) async fn run(mut self) {
        let mut view = self.registry.view();
        loop {
            let models = view.borrow_and_update().clone();
            // A view that nothing was read into yet knows nothing of deployments.
            let known = self.registry.is_known();
            let next_at = if known {
                self.follow(&models)
            } else {
                Some(self.clock.monotonic() + UNREAD_RECHECK)
            };
            self.publish(known.then_some(models));
            let pause = next_at.map(|at| at.saturating_sub(self.clock.monotonic()));
            let pause = futures::future::OptionFuture::from(pause.map(tokio::time::sleep));
            tokio::select! {
                changed = view.changed() => if changed.is_err() { return },
                Some(ended) = self.loads.join_next() => self.finish_load(ended),
                Some(()) = pause => {}
            }
        }
    }

    /// Executes the plan for these registered models and returns the time of the next one.
    fn follow(&mut self, models: &ModelMap) -> Option<Duration> {
        let deployed = plan::deployed(models);
        let entries = self.entries.iter().map(|(key, entry)| (key, entry.state()));
        let plan = plan::plan(&deployed, entries, self.clock.monotonic());
        for key in plan.unload {
            self.unload(&key);
        }
        for (key, at) in plan.leaving {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.leaves_at = at;
            }
        }
        for key in plan.load {
            if let Some(version) = deployed.get(&key) {
                self.load(key, (*version).clone());
            }
        }
        plan.next_at
    }

    fn load(&mut self, key: Key, version: Version) {
        let failures = self.entries.get(&key).map_or(0, |entry| entry.failures);
        let others = self.entries.iter().filter(|(other, _)| **other != key);
        let taken: u64 = others.map(|(_, entry)| entry.bytes).sum();
        let bytes = version.bytes;
        let entry = if taken.saturating_add(bytes) > self.limits.files_bytes_max {
            let error = FetchError::NoSpace {
                bytes,
                mebibytes_max: self.limits.files_bytes_max >> 20,
            };
            CacheEntry::failed(&error, failures, self.clock.monotonic())
        } else {
            CacheEntry {
                bytes,
                content: self.start_load(&key, version),
                failures,
                leaves_at: None,
            }
        };
        self.entries.insert(key, entry);
    }

    fn start_load(&mut self, key: &Key, version: Version) -> Content {
        self.ticket += 1;
        let (ticket, fetcher, of) = (self.ticket, self.fetcher.clone(), key.clone());
        // A panic is an end like any other: without its key the entry would be loading for ever.
        let fetch = AssertUnwindSafe(fetcher.fetch(version)).catch_unwind();
        let work = async move {
            let panicked = |panic: Box<dyn std::any::Any + Send>| panic_message(&*panic).to_owned();
            let result = fetch.await.map_err(panicked).map_err(FetchError::Panicked);
            (of, ticket, result.flatten())
        };
        let load = self.loads.spawn(work.in_current_span());
        tracing::info!(model = key.0, version = key.1, "loading");
        Content::Loading { ticket, load }
    }

    fn finish_load(&mut self, ended: Result<LoadEnd, JoinError>) {
        // A load that was given up; its entry has been taken care of.
        let Ok((key, number, result)) = ended else { return };
        let now = self.clock.monotonic();
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        if !matches!(entry.content, Content::Loading { ticket, .. } if ticket == number) {
            return;
        }
        let (model, version) = (key.0.as_str(), key.1);
        let outcome = match result {
            Ok(loaded) => {
                tracing::info!(model, version, "ready");
                (entry.content, entry.failures) = (Content::Ready(loaded), 0);
                "ok"
            }
            Err(error) => {
                tracing::warn!(model, version, %error, "could not be loaded");
                let leaves_at = entry.leaves_at;
                *entry = CacheEntry {
                    leaves_at,
                    ..CacheEntry::failed(&error, entry.failures, now)
                };
                "failed"
            }
        };
        let labels = own(&[("model", model), ("outcome", outcome)]);
        self.outcomes.get_or_create_owned(&labels).inc();
    }

    fn unload(&mut self, key: &Key) {
        let Some(entry) = self.entries.remove(key) else { return };
        if let Content::Loading { load, .. } = entry.content {
            load.abort();
        }
        tracing::info!(model = key.0, version = key.1, "unloaded");
    }

    /// Shows the models in memory to requests, and their states to the registry.
    fn publish(&self, registry: Option<Arc<ModelMap>>) {
        let now = self.clock.monotonic();
        let mut loaded = LoadedModels::new();
        let mut status = Vec::new();
        for ((name, version), entry) in &self.entries {
            if let Content::Ready(model) = &entry.content {
                let versions = loaded.entry(name.clone()).or_default();
                versions.insert(*version, Arc::clone(model));
            }
            if entry.leaves_at.is_none_or(|at| at > now) {
                status.push(entry.status(name, *version));
            }
        }
        self.ready.set(loaded.values().map(BTreeMap::len).sum::<usize>() as f64);
        self.status.send_if_modified(|before| {
            let changed = *before != status;
            before.clone_from(&status);
            changed
        });
        // Sent at every turn: a request that waits looks again, also at what failed.
        self.snapshot.send_replace(Arc::new(Snapshot {
            registry,
            loaded,
            status,
        }));
    }
}

impl CacheEntry {
    /// A version that could not be loaded after so many failures before. It takes no space.
    fn failed(error: &FetchError, failures: u32, now: Duration) -> Self {
        Self {
            bytes: 0,
            content: Content::Failed {
                message: error.to_string(),
                retry_at: error.retry_after(failures).map(|pause| now + pause),
            },
            failures: failures + 1,
            leaves_at: None,
        }
    }

    fn state(&self) -> EntryState {
        let stage = match &self.content {
            Content::Loading { .. } => Stage::Loading,
            Content::Ready(_) => Stage::Ready,
            Content::Failed { retry_at, .. } => Stage::Failed(*retry_at),
        };
        EntryState {
            stage,
            leaves_at: self.leaves_at,
        }
    }

    fn status(&self, name: &str, version: u32) -> LoadedVersion {
        let (state, message) = match &self.content {
            Content::Loading { .. } => (State::Loading, String::new()),
            Content::Ready(_) => (State::Ready, String::new()),
            Content::Failed { message, .. } => (State::Failed, message.clone()),
        };
        LoadedVersion {
            name: name.to_owned(),
            version,
            state,
            message,
        }
    }
}
