//! The service: what it is built from, and its life from the first to the last request.
//!
//! Promises: starts while etcd is away; drains in order: not ready, registry, no new connections, finish, leave. Leaves
//! the command line to `mesh::entry` and the layers around requests to `stack`.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use lepton_coordination::election::LeaderWatch;
use lepton_coordination::etcd::Etcd;
use lepton_coordination::registry::{Directory, Instance, NodeState, Registrar};
use lepton_core::context::Context;
use lepton_core::shutdown::Shutdown;
use lepton_domain::ids::InstanceId;
use lepton_domain::reason::ApiError;
use lepton_mesh::channel::leader::LeaderChannel;
use lepton_mesh::channel::pool::{Pool, PoolConfig};
use lepton_mesh::entry::{self, Flag, Sockets};
use lepton_mesh::server::drain::StagedShutdown;
use lepton_mesh::server::health::Readiness;
use lepton_mesh::stats_service::StatsService;
use lepton_mesh::{admin, server};
use lepton_models::Models as Registry;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use self::error::ServiceError;
use crate::cluster::{Cluster, ELECTING};
use crate::config::Config;
use crate::data::Data;
use crate::edge::router::{self, Router};
use crate::edge::services::{self, Services};
use crate::edge::stack;
use crate::incidents::Incidents;
use crate::models::placement_view::Sources;
use crate::models::{Import, Intake, Models, Routing, sweep};
use crate::proxy::analyze::Online;
use crate::proxy::balancer::Balancer;
use crate::proxy::infer::Inference;
use crate::readiness;
use crate::request::caller::Callers;
use crate::request_stats::{GatewayStats, RequestStats};
use crate::tasks::etcd_health::EtcdHealth;
use crate::tasks::payloads::Payloads;
use crate::tasks::{self, Tasks, intake};
use crate::transcode::openapi;
use crate::transcode::table::Table;
use crate::v2::V2;

mod error;

/// The gateway.
#[derive(Debug)]
pub struct Gateway {
    config: Config,
    context: Context,
    instance: InstanceId,
    readiness: Readiness,
    table: Table,
    callers: Callers,
}

/// The gateway's work beside requests; it ends with the first failure or with its owner.
type Background = JoinSet<Result<(), ApiError>>;

/// The gateway's view of the rest of the mesh.
struct Mesh {
    etcd: Etcd,
    directory: Directory,
    workers: Pool,
    worker_entries: Directory,
    models: Registry,
    leaders: Vec<(&'static str, LeaderWatch)>,
    scheduler: LeaderChannel,
}

impl entry::Service for Gateway {
    const NAME: &'static str = "gateway";
    const FLAGS: &'static [Flag] = &[Flag {
        name: "model-dir",
        key: "models.directory",
        value: "DIR",
        help: "Models to register at start, as DIR/name/version/model.onnx",
    }];
    type Config = Config;

    async fn build(config: Config, context: Context) -> Result<Self, ApiError> {
        let instance = InstanceId::new(config.common.instance.as_deref().unwrap_or(Self::NAME));
        let table = Table::of(lepton_proto::descriptors::pool()).map_err(ServiceError::from)?;
        let callers = Callers::new(&config.caller).map_err(|error| error.api_error())?;
        Ok(Self {
            config,
            context,
            instance,
            readiness: Readiness::new(),
            table,
            callers,
        })
    }

    fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    async fn run(self, sockets: Sockets, shutdown: Shutdown) -> Result<(), ApiError> {
        let mesh = Mesh::join(&self.config, &self.context);
        let registrar = Registrar::start(mesh.etcd.clone(), &self.context, self.entry());
        let mut background = Background::new();
        let tasks = self.tasks(&mesh, &shutdown, &mut background);
        let models = self.models(&mesh, &tasks, &shutdown, &mut background);
        let imported = self.import(&models, &mut background);
        let (workers, link, etcd_health) = (mesh.workers.clone(), tasks.intake.link(), tasks.etcd_health.clone());
        let kept = readiness::keep(self.readiness.clone(), workers, link, etcd_health, shutdown.clone());
        let kept = after(imported, shutdown.clone(), kept);
        background.spawn(kept.map(Ok).in_current_span());

        let (closing, readiness, metrics) = (Shutdown::new(), self.readiness.clone(), self.context.metrics.clone());
        let (limits, notice) = (self.config.server.clone(), self.config.edge.drain_notice);
        let (context, callers) = (self.context.clone(), self.callers.clone());
        let router = self.router(mesh, tasks, models, &shutdown, &closing);
        let app = stack::apply(&context, router, callers);
        // Clients are asked to go while new connections are still accepted, and made to go later.
        let leave = StagedShutdown {
            announced: shutdown.clone(),
            closing: closing.clone(),
        };
        let serving = async {
            let serve = server::serve(sockets.serve, app, limits, leave);
            let admin = admin::serve(sockets.admin, readiness.clone(), metrics, closing.clone());
            tokio::try_join!(serve, admin).map_err(|error| ServiceError::from(error).into())
        };
        let leaving = async {
            announce(&registrar, &readiness, &shutdown).await;
            // Whoever balances between gateways reads the registry and the probes before connections are refused.
            tokio::time::sleep(notice).await;
            closing.trigger();
            Ok(())
        };
        let result = tokio::select! {
            ended = async { tokio::try_join!(serving, leaving) } => ended.map(drop),
            failed = first_failure(&mut background) => Err(failed),
        };
        registrar.leave().await;
        result
    }
}

impl Gateway {
    fn entry(&self) -> Instance {
        Instance {
            id: self.instance.clone(),
            service: "gateway".to_owned(),
            address: self
                .config
                .common
                .advertise
                .clone()
                .unwrap_or_else(|| self.config.common.listen.clone()),
            state: NodeState::Starting,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.context.clock.now(),
            metadata: BTreeMap::new(),
        }
    }

    /// Makes the tasks' side and starts what works for it.
    fn tasks(&self, mesh: &Mesh, shutdown: &Shutdown, background: &mut Background) -> Tasks {
        let (intake, talking) = intake::new(mesh.scheduler.clone());
        let (etcd_health, probing) = EtcdHealth::new(mesh.etcd.clone(), self.context.clock);
        let location = self.config.common.blob_store();
        let (payloads, opening) = Payloads::new(location, mesh.etcd.clone(), self.context.clone());
        background.spawn(talking.map(Ok).in_current_span());
        background.spawn(probing.map(Ok).in_current_span());
        background.spawn(opening.in_current_span());
        let parts = tasks::Parts {
            intake,
            leader: mesh.scheduler.clone(),
            payloads,
            etcd_health,
            directory: mesh.directory.clone(),
            draining: shutdown.clone(),
        };
        Tasks::new(self.context.clone(), self.config.tasks.clone(), parts)
    }

    /// Makes the models' side and starts what works for it.
    fn models(&self, mesh: &Mesh, tasks: &Tasks, shutdown: &Shutdown, background: &mut Background) -> Models {
        let Context { clock, random, .. } = self.context.clone();
        let (registry, config) = (mesh.models.clone(), self.config.models.clone());
        let (store, workers, entries) = (
            tasks.payloads.clone(),
            mesh.workers.clone(),
            mesh.worker_entries.clone(),
        );
        let sources = Sources {
            models: registry.clone(),
            workers: entries.clone(),
            pool: workers.clone(),
        };
        let interval = config.sweep_interval;
        let sweeping = sweep::keep(registry.clone(), store.clone(), random, interval, shutdown.clone());
        background.spawn(sweeping.map(Ok).in_current_span());
        Models {
            intake: Intake::new(registry.clone(), store.clone(), workers, config.pushes_max),
            routing: Routing::start(sources, clock),
            workers: entries,
            registry,
            store,
            config,
        }
    }

    /// Registers the models of the configured directory; the returned flag is true once readiness need not wait any more.
    fn import(&self, models: &Models, background: &mut Background) -> watch::Receiver<bool> {
        let (sender, done) = watch::channel(!models.config.directory_first);
        let import = Import {
            intake: models.intake.clone(),
            registry: models.registry.clone(),
            workers: models.workers.clone(),
            routing: models.routing.clone(),
            config: models.config.clone(),
            bytes_max: self.config.edge.body_bytes_max,
        };
        background.spawn(import.run(sender).map(Ok).in_current_span());
        done
    }

    fn router(self, mesh: Mesh, tasks: Tasks, models: Models, shutdown: &Shutdown, closing: &Shutdown) -> Router {
        let Self {
            config,
            context,
            instance,
            readiness,
            table,
            callers: _,
        } = self;
        let Mesh {
            etcd,
            directory,
            workers,
            leaders,
            ..
        } = mesh;
        let stats = RequestStats::new(context.clock);
        let own = GatewayStats {
            instance,
            requests: stats.clone(),
            readiness: readiness.clone(),
        };
        let routing = models.routing.clone();
        let calls = Balancer::new(config.online, context.clock, workers, routing.clone());
        let inference = Inference::new(calls.clone(), routing, readiness.clone());
        let online = Online::new(calls);
        let v2 = V2 {
            inference: inference.clone(),
            bytes_max: config.edge.body_bytes_max,
        };
        let cluster = Cluster::new(etcd, directory.clone(), leaders);
        let services = Services {
            bytes_max: config.edge.body_bytes_max,
            online: online.clone(),
            inference,
            tasks: tasks.clone(),
            models,
            data: Data {
                store: tasks.payloads.clone(),
                context: context.clone(),
                config: config.data,
            },
            incidents: Incidents::new(context.net, directory, cluster.clone()),
            cluster,
            fleet: StatsService::new(own, shutdown.clone(), closing.clone())
                .with_conditions(context.conditions.clone()),
            readiness: readiness.clone(),
            draining: shutdown.clone(),
        };
        let openapi = openapi::document(&table).into();
        Router {
            memory: router::memory(&config.edge),
            config: config.edge,
            table,
            openapi,
            grpc: services::grpc(services),
            online,
            tasks,
            v2,
            readiness,
            stats,
        }
    }
}

impl Mesh {
    fn join(config: &Config, context: &Context) -> Self {
        let etcd = Etcd::connect(context, &config.common.etcd, &config.common.cluster);
        let directory = Directory::start(etcd.clone(), None, context);
        let workers = Directory::start(etcd.clone(), Some("worker"), context);
        let watch = |service| (service, LeaderWatch::start(etcd.clone(), service));
        let leaders = ELECTING.map(watch).to_vec();
        let (_, scheduler) = leaders[0].clone();
        Self {
            workers: Pool::start(workers.clone(), context, PoolConfig::default()),
            worker_entries: workers,
            models: Registry::start(etcd.clone(), context),
            scheduler: LeaderChannel::start(scheduler, directory.clone(), context),
            etcd,
            directory,
            leaders,
        }
    }
}

/// Does something once the models of the directory are there, if that is to be waited for.
async fn after(mut done: watch::Receiver<bool>, shutdown: Shutdown, then: impl Future<Output = ()>) {
    let imported = async {
        // The import says so before it ends.
        let _ = done.wait_for(|done| *done).await;
    };
    tokio::select! {
        () = imported => {}
        () = shutdown.triggered() => return,
    }
    then.await;
}

/// Tells the registry how this instance is doing, from the first success to the drain.
async fn announce(registrar: &Registrar, readiness: &Readiness, shutdown: &Shutdown) {
    tokio::select! {
        () = readiness.wait() => registrar.set_state(NodeState::Ready),
        () = shutdown.triggered() => {}
    }
    shutdown.triggered().await;
    registrar.set_state(NodeState::Draining);
}

/// Waits for a failure in the background; success, and the end of all of it, is no news.
async fn first_failure(background: &mut Background) -> ApiError {
    while let Some(ended) = background.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error,
            Err(panic) => return ServiceError::from(panic).into(),
        }
    }
    std::future::pending().await
}
