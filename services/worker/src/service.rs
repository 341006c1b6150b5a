//! The worker as a service: its parts, its start and the order of its end.
//!
//! Promises: online calls are served as soon as the socket is open; tasks, as soon as etcd, the blob store and a leader
//! are there; a drain refuses nothing that was accepted and ends within 30 s. Leaves each part to its module.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lepton_coordination::etcd::Etcd;
use lepton_coordination::registry::{Directory, Instance, NodeState, Registrar};
use lepton_core::blob::Blobs;
use lepton_core::context::Context;
use lepton_core::shutdown::Shutdown;
use lepton_domain::ids::InstanceId;
use lepton_domain::reason::ApiError;
use lepton_mesh::entry::{self, Flag, Sockets};
use lepton_mesh::memory_budget::MemoryBudget;
use lepton_mesh::server::health::Readiness;
use lepton_mesh::server::limits::Limits;
use lepton_mesh::{admin, server};
use lepton_models::Models;
use lepton_models::loaded::{self, Loaded as LoadedVersion};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tracing::Instrument;

use crate::config::Config;
use crate::cpu_pool::CpuPool;
use crate::error::{Error, ServiceError};
use crate::kinds::Kinds;
use crate::model::access::ModelAccess;
use crate::model::cache::Loader;
use crate::model::{Backend, Tract};
use crate::parent_watchdog::parent_gone;
use crate::session::WorkerIdentity;
use crate::stats::Stats;
use crate::task_runtime::TaskRuntime;

mod stack;

/// Time for reports of attempts that are handed back to be committed.
const HAND_BACK_MAX: Duration = Duration::from_secs(9);
/// Time for gateways and the leader to notice a drain before anything closes.
const DRAIN_NOTICE: Duration = Duration::from_millis(250);

/// A worker that is ready to run.
pub struct Worker {
    config: Config,
    context: Context,
    etcd: Etcd,
    models: ModelAccess,
    /// Taken when the service runs.
    loader: Option<Loader>,
    opened: watch::Sender<Option<Blobs>>,
    kinds: Kinds,
    stats: Stats,
    readiness: Readiness,
}

impl entry::Service for Worker {
    const NAME: &'static str = "worker";
    const FLAGS: &'static [Flag] = &[
        Flag {
            name: "slots",
            key: "tasks.slots",
            value: "N",
            help: "Attempts at once; 0 for 16 a core",
        },
        Flag {
            name: "parent",
            key: "lifetime.parent_pid",
            value: "PID",
            help: "End with this parent process",
        },
        Flag {
            name: "place",
            key: "lifetime.place",
            value: "NAME",
            help: "The place among the parent's children",
        },
    ];
    type Config = Config;

    async fn build(config: Config, context: Context) -> Result<Self, ApiError> {
        let etcd = Etcd::connect(&context, &config.common.etcd, &config.common.cluster);
        let stats = Stats::new(config.tasks.slots_here(), &context.metrics);
        let (opened, blobs) = watch::channel(None);
        let (loader, models) = models(&etcd, &context, &config, blobs);
        let kinds = Kinds::all(&CpuPool::new(config.tasks.compute_here()), &models);
        Ok(Self {
            config,
            context,
            etcd,
            models,
            loader: Some(loader),
            opened,
            kinds,
            stats,
            readiness: Readiness::new(),
        })
    }

    fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    async fn run(mut self, sockets: Sockets, shutdown: Shutdown) -> Result<(), ApiError> {
        let (draining, closing) = (shutdown.child(), Shutdown::new());
        let mut tasks = JoinSet::new();
        // Apart from the tasks that a drain waits for: models answer until no request comes any more.
        let mut loading = JoinSet::new();
        if let Some(loader) = self.loader.take() {
            loading.spawn(loader.run().in_current_span());
        }
        let limits = Limits {
            drain_timeout: self.config.tasks.drain_timeout + HAND_BACK_MAX,
            ..Limits::default()
        };
        let app = stack::router(&self, &draining, &closing);
        tasks.spawn(served(server::serve(sockets.serve, app, limits, closing.clone())).in_current_span());
        let probes = admin::serve(
            sockets.admin,
            self.readiness.clone(),
            self.context.metrics.clone(),
            closing.clone(),
        );
        tasks.spawn(served(probes).in_current_span());
        tasks.spawn(self.task_runtime(draining.clone()).run().in_current_span());
        let registrar = Registrar::start(self.etcd.clone(), &self.context, self.instance());
        let published = publish(&registrar, self.models.cache.status());
        let mut orphaned = std::pin::pin!(orphaned(self.config.lifetime.parent_pid));
        tokio::select! {
            // First: on a shutdown some parts end at once, which is no failure then.
            biased;
            () = shutdown.triggered() => {}
            () = &mut orphaned => return Ok(()),
            // While nobody has asked for it, whatever ends has failed.
            Some(ended) = tasks.join_next() => return Ok(flat(ended)?),
            Some(ended) = loading.join_next() => return Ok(flat(ended.map(Ok))?),
            () = published => {}
        }
        tokio::select! {
            drained = self.drain(tasks, registrar, &closing) => Ok(drained?),
            // Nobody waits for what is left.
            () = orphaned => Ok(()),
        }
    }
}

/// The models of a worker: the [`Loader`] that keeps them in memory, and the access of all others.
fn models(
    etcd: &Etcd,
    context: &Context,
    config: &Config,
    opened: watch::Receiver<Option<Blobs>>,
) -> (Loader, ModelAccess) {
    let models = Models::start(etcd.clone(), context);
    let backend: Arc<dyn Backend> = Arc::new(Tract::new(config.models.run_memory_bytes_max));
    let (loader, cache) = Loader::new(
        models.clone(),
        opened.clone(),
        Arc::clone(&backend),
        config.models.cache_limits(),
        context,
    );
    let access = ModelAccess {
        registry: models,
        directory: Directory::start(etcd.clone(), Some(<Worker as entry::Service>::NAME), context),
        cache,
        backend,
        opened,
        memory: MemoryBudget::new(config.tasks.payload_bytes_max),
    };
    (loader, access)
}

/// Publishes the models in memory in the registry. Never completes while they are kept.
async fn publish(registrar: &Registrar, mut status: watch::Receiver<Vec<LoadedVersion>>) {
    loop {
        let now = loaded::encode(&status.borrow_and_update());
        registrar.set_metadata(loaded::KEY, now);
        if status.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// Completes when [`parent_gone`] does.
async fn orphaned(parent_pid: u32) {
    parent_gone(parent_pid).await;
    tracing::info!("the parent process is gone");
}

impl Worker {
    /// Takes nothing new, waits for the end of what there is, then leaves the registry.
    async fn drain(
        self,
        mut tasks: JoinSet<Result<(), Error>>,
        registrar: Registrar,
        closing: &Shutdown,
    ) -> Result<(), Error> {
        tracing::info!("draining");
        self.readiness.set(false);
        registrar.set_state(NodeState::Draining);
        tokio::time::sleep(DRAIN_NOTICE).await;
        closing.trigger();
        let all = async {
            while let Some(ended) = tasks.join_next().await {
                flat(ended)?;
            }
            Ok(())
        };
        let drained = timeout(self.config.tasks.drain_timeout + HAND_BACK_MAX, all).await;
        if drained.is_err() {
            tracing::warn!("not all attempts ended in time; the leader runs them elsewhere");
        }
        // What is left of the attempts must not outlive the registration.
        tasks.shutdown().await;
        registrar.leave().await;
        drained.unwrap_or(Ok(()))
    }

    fn instance_id(&self) -> InstanceId {
        InstanceId::new(self.config.common.instance.as_deref().unwrap_or("worker"))
    }

    /// The worker's entry in the registry: ready, since online calls are answered from the start.
    fn instance(&self) -> Instance {
        let slots = self.config.tasks.slots_here().to_string();
        let mut metadata = BTreeMap::from([
            ("kinds".to_owned(), self.kinds.names().join(",")),
            ("slots".to_owned(), slots),
        ]);
        if !self.config.lifetime.place.is_empty() {
            metadata.insert("name".to_owned(), self.config.lifetime.place.clone());
        }
        Instance {
            id: self.instance_id(),
            service: <Self as entry::Service>::NAME.to_owned(),
            address: self.config.common.advertise.clone().unwrap_or_default(),
            state: NodeState::Ready,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.context.clock.now(),
            metadata,
        }
    }

    fn task_runtime(&self, draining: Shutdown) -> TaskRuntime {
        let identity = WorkerIdentity {
            instance: self.instance_id(),
            slots: self.config.tasks.slots_here(),
            kinds: self.kinds.names().into_iter().map(str::to_owned).collect(),
            labels: self.config.tasks.labels.clone(),
        };
        TaskRuntime {
            identity,
            context: self.context.clone(),
            etcd: self.etcd.clone(),
            opened: self.opened.clone(),
            blob_store: self.config.common.blob_store(),
            memory: MemoryBudget::new(self.config.tasks.payload_bytes_max),
            timeout: self.config.tasks.timeout,
            kinds: self.kinds.clone(),
            stats: self.stats.clone(),
            readiness: self.readiness.clone(),
            draining,
            notice: DRAIN_NOTICE,
            drain_timeout: self.config.tasks.drain_timeout,
        }
    }
}

async fn served(serving: impl Future<Output = std::io::Result<()>>) -> Result<(), Error> {
    Ok(serving.await.map_err(ServiceError::Server)?)
}

/// Flattens a task's result and its panic into one [`Error`].
fn flat(ended: Result<Result<(), Error>, JoinError>) -> Result<(), Error> {
    ended.unwrap_or_else(|error| Err(ServiceError::Part(error).into()))
}
