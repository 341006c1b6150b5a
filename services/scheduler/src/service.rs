//! The scheduler as a service: what it is built from, and how it runs.
//!
//! Promises: it waits for etcd as long as it takes and is not ready meanwhile; it is ready once it leads, or follows a
//! leader that it can name.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use lepton_coordination::election::{Candidate, FailureDetector, Leader, LeaderWatch};
use lepton_coordination::etcd::Etcd;
use lepton_coordination::registry::{Directory, Instance, NodeState, Registrar};
use lepton_core::context::Context;
use lepton_core::shutdown::Shutdown;
use lepton_domain::ids::InstanceId;
use lepton_domain::reason::ApiError;
use lepton_journal::LEADER_SERVICE;
use lepton_mesh::admin;
use lepton_mesh::entry::{Service, Sockets};
use lepton_mesh::server::health::{self, Readiness};
use lepton_mesh::server::limits::Limits;
use lepton_mesh::server::stack::{StackConfig, apply, mount, mount_protocol};
use lepton_mesh::server::{reflection, serve};
use lepton_mesh::stats_service::StatsService;
use lepton_proto::fleet::v1::fleet_service_server::FleetServiceServer;
use lepton_proto::scheduler::v1::scheduler_service_server::SchedulerServiceServer;
use lepton_proto::worker::v1::session_service_server::SessionServiceServer;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api::SchedulerApi;
use crate::config::Config;
use crate::error::RunError;
use crate::formats::{FORMAT_LABEL, SupportedFormats};
use crate::high_water_mark::HighWaterMark;
use crate::leader_handle::{LeaderHandle, LocalLeader};
use crate::role::RoleLoop;
use crate::session::SessionApi;
use crate::standby::Standby;
use crate::stats::SchedulerStats;
use crate::status::{Role, SchedulerStatus};

/// Largest message between services: a page of a thousand records with inline payloads.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Streams that services keep open among themselves, and calls that they repeat all the time: too long or too many for
/// spans.
const UNTRACED: &[&str] = &[
    "/lepton.fleet.v1.FleetService/",
    "/lepton.scheduler.v1.SchedulerService/GetPosition",
    "/lepton.scheduler.v1.SchedulerService/Intake",
    "/lepton.worker.v1.SessionService/OpenSession",
];

/// Services of this server beside health and reflection.
const SERVICES: [&str; 3] = [
    "lepton.scheduler.v1.SchedulerService",
    "lepton.worker.v1.SessionService",
    "lepton.fleet.v1.FleetService",
];

/// A scheduler that has been built and waits to run.
pub struct Scheduler {
    config: Config,
    context: Context,
    instance: InstanceId,
    readiness: Readiness,
}

impl Service for Scheduler {
    const NAME: &'static str = LEADER_SERVICE;
    type Config = Config;

    async fn build(config: Config, context: Context) -> Result<Self, ApiError> {
        config.queue.check()?;
        let instance = InstanceId::new(config.common.instance.clone().unwrap_or_default());
        Ok(Self {
            config,
            context,
            instance,
            readiness: Readiness::new(),
        })
    }

    fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    async fn run(self, sockets: Sockets, shutdown: Shutdown) -> Result<(), ApiError> {
        let directory = self.config.common.data_dir.join("scheduler");
        let high_water = HighWaterMark::open(&directory, &self.config.common.cluster, &self.instance)
            .await
            .map_err(|error| RunError::DataDir { directory, error })?;
        let etcd = Etcd::connect(&self.context, &self.config.common.etcd, &self.config.common.cluster);
        let leaders = LeaderWatch::start(etcd.clone(), LEADER_SERVICE);
        let status = watch::Sender::new(SchedulerStatus::new());
        let slot = watch::Sender::new(None);
        // The server outlives the leader, so that the answers of its last append still go out.
        let closing = Shutdown::new();
        let leader = LocalLeader::new(slot.subscribe(), leaders.view(), closing.clone());

        let mut tasks = JoinSet::new();
        let registrar = Arc::new(Registrar::start(etcd.clone(), &self.context, self.registration()));
        tasks.spawn(
            high_water
                .clone()
                .follow(status.subscribe(), self.context.conditions.clone()),
        );
        tasks.spawn(watch_readiness(
            self.readiness.clone(),
            registrar.clone(),
            slot.subscribe(),
            leaders.view(),
            status.subscribe(),
        ));
        let metrics = self.context.metrics.clone();
        let app = self.app(leader, &status, &shutdown, closing.clone());
        let serving = tokio::spawn(serve(sockets.serve, app, Limits::default(), closing.clone()));
        let watching = tokio::spawn(admin::serve(
            sockets.admin,
            self.readiness.clone(),
            metrics,
            closing.clone(),
        ));

        let role_loop = self.role_loop(etcd, &leaders, high_water, slot, status);
        tasks.spawn(announce_drain(registrar.clone(), shutdown.clone()));
        let ended = role_loop.run(shutdown).await;
        self.readiness.set(false);
        tasks.shutdown().await;
        if let Some(registrar) = Arc::into_inner(registrar) {
            registrar.leave().await;
        }
        closing.trigger();
        for served in [serving.await, watching.await] {
            served.map_err(RunError::Panicked)?.map_err(RunError::Server)?;
        }
        Ok(ended?)
    }
}

impl Scheduler {
    fn registration(&self) -> Instance {
        Instance {
            id: self.instance.clone(),
            service: Self::NAME.to_owned(),
            address: self.config.common.advertise.clone().unwrap_or_default(),
            state: NodeState::Starting,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.context.clock.now(),
            metadata: BTreeMap::from([(FORMAT_LABEL.to_owned(), self.config.journal.format_max().to_string())]),
        }
    }

    fn role_loop(
        &self,
        etcd: Etcd,
        leaders: &LeaderWatch,
        high_water: HighWaterMark,
        slot: watch::Sender<Option<LeaderHandle>>,
        status: watch::Sender<SchedulerStatus>,
    ) -> RoleLoop {
        let directory = Directory::start(etcd.clone(), Some(LEADER_SERVICE), &self.context);
        let detector = FailureDetector::start(&etcd, LEADER_SERVICE, leaders, &directory, &self.context);
        let candidate = Candidate {
            service: LEADER_SERVICE.to_owned(),
            instance: self.instance.clone(),
        };
        let standby = Standby {
            context: self.context.clone(),
            etcd,
            candidate,
            status,
        };
        RoleLoop {
            standby,
            formats: SupportedFormats::new(directory, self.instance.clone()),
            config: self.config.clone(),
            high_water,
            slot,
            detector,
        }
    }

    fn app(
        &self,
        leader: LocalLeader,
        status: &watch::Sender<SchedulerStatus>,
        shutdown: &Shutdown,
        closing: Shutdown,
    ) -> Router {
        let api = SchedulerApi::new(self.instance.clone(), leader.clone(), status.subscribe());
        let api = SchedulerServiceServer::new(api)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let sessions = SessionServiceServer::new(SessionApi::new(leader)).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let stats = SchedulerStats {
            instance: self.instance.clone(),
            readiness: self.readiness.clone(),
            status: status.subscribe(),
        };
        let stats = StatsService::new(stats, shutdown.clone(), closing.clone())
            .with_conditions(self.context.conditions.clone());
        let router = mount(Router::new(), api);
        let router = mount(router, sessions);
        let router = mount(router, FleetServiceServer::new(stats));
        let router = mount_protocol(router, health::service(self.readiness.clone(), &SERVICES, closing));
        let router = reflection::mount_on(router, &SERVICES);
        let stack = StackConfig {
            untraced: UNTRACED,
            ..StackConfig::new(Self::NAME, self.context.clock, self.context.metrics.clone())
        };
        apply(router, stack)
    }
}

/// Publishes readiness: this scheduler is ready while it leads, or follows a leader that it can name.
async fn watch_readiness(
    readiness: Readiness,
    registrar: Arc<Registrar>,
    mut slot: watch::Receiver<Option<LeaderHandle>>,
    mut leaders: watch::Receiver<Option<Leader>>,
    mut status: watch::Receiver<SchedulerStatus>,
) {
    loop {
        let (leads, led) = (
            slot.borrow_and_update().is_some(),
            leaders.borrow_and_update().is_some(),
        );
        let follows = {
            let status = status.borrow_and_update();
            led && status.role == Role::Standby && !status.mark.incarnation.is_empty()
        };
        let ready = leads || follows;
        readiness.set(ready);
        registrar.set_state(if ready { NodeState::Ready } else { NodeState::Starting });
        tokio::select! {
            changed = slot.changed() => if changed.is_err() { return },
            changed = leaders.changed() => if changed.is_err() { return },
            changed = status.changed(), if !ready => if changed.is_err() { return },
        }
    }
}

async fn announce_drain(registrar: Arc<Registrar>, shutdown: Shutdown) {
    shutdown.triggered().await;
    registrar.set_state(NodeState::Draining);
}
