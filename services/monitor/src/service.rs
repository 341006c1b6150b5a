//! The monitor as a service: construction and lifecycle.
//!
//! Promises: ready once the registry has been read; on shutdown it announces the drain, finishes the requests in
//! flight, resigns its leadership and deregisters. Leaves the command line to [`lepton_mesh::entry`].

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_request};
use lepton_coordination::election::LeaderWatch;
use lepton_coordination::etcd::Etcd;
use lepton_coordination::registry::{Directory, Instance, NodeState, Registrar};
use lepton_core::context::Context;
use lepton_core::net::Listener;
use lepton_core::shutdown::Shutdown;
use lepton_domain::ids::InstanceId;
use lepton_domain::reason::{ApiError, Reason};
use lepton_mesh::admin;
use lepton_mesh::collector::OTLP;
use lepton_mesh::config::Common;
use lepton_mesh::entry::{self, Flag, Service, Sockets};
use lepton_mesh::server::health::{self, Readiness};
use lepton_mesh::server::limits::Limits;
use lepton_mesh::server::stack::{self, StackConfig, mount, mount_protocol};
use lepton_mesh::server::{reflection, serve};
use lepton_mesh::stats_service::StatsService;
use lepton_proto::fleet::v1::fleet_service_server::{FleetServiceServer, SERVICE_NAME as FLEET};
use lepton_proto::monitor::v1::monitor_service_server::{MonitorServiceServer, SERVICE_NAME as MONITOR};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::api::MonitorApi;
use crate::config::Config;
use crate::console;
use crate::etcd_health::{self, EtcdHealth};
use crate::leader_election::{self, LeaderEpoch};
use crate::monitor_stats::{self, MonitorStats, RequestCounter};
use crate::otlp::{Traces, receiver};
use crate::view::MeshView;
use crate::watch::{InstanceWatcher, WatchSources};

/// Paths without a span: streams of stats stay open too long for one.
const UNTRACED: &[&str] = &["/lepton.fleet.v1.FleetService/"];

/// Services that elect a leader.
const ELECTING: [&str; 2] = ["scheduler", Monitor::NAME];

/// The monitor, built and not yet running.
#[derive(Debug)]
pub struct Monitor {
    config: Config,
    context: Context,
    etcd: Etcd,
    instance: Instance,
    readiness: Readiness,
    receiver: Listener,
    traces: Traces,
}

impl Service for Monitor {
    const NAME: &'static str = "monitor";
    const FLAGS: &'static [Flag] = &[Flag {
        name: "otlp-listen",
        key: "otlp.listen",
        value: "HOST:PORT",
        help: "Listen address for OTLP over gRPC and HTTP; port 0 takes a free one",
    }];
    type Config = Config;

    async fn build(config: Config, context: Context) -> Result<Self, ApiError> {
        let common = &config.common;
        let receiver = entry::bind(context.net, &config.otlp.listen).await?;
        entry::warn_if_open(context.net, receiver.local_addr());
        let etcd = Etcd::connect(&context, &common.etcd, &common.cluster);
        let instance = Instance {
            id: InstanceId::new(
                common
                    .instance
                    .clone()
                    .unwrap_or_else(|| context.random.instance(Self::NAME).to_string()),
            ),
            service: Self::NAME.to_owned(),
            address: common.advertise.clone().unwrap_or_else(|| common.listen.clone()),
            state: NodeState::Starting,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: context.clock.now(),
            metadata: BTreeMap::from([(OTLP.to_owned(), receiver_address(common, &receiver))]),
        };
        Ok(Self {
            traces: Traces::new(config.traces.clone(), &context),
            receiver,
            config,
            context,
            etcd,
            instance,
            readiness: Readiness::new(),
        })
    }

    fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    async fn run(self, sockets: Sockets, shutdown: Shutdown) -> Result<(), ApiError> {
        let (view_sender, view) = watch::channel(Arc::new(MeshView::default()));
        let (epoch, held) = watch::channel(None);
        let (etcd_results, etcd_health) = watch::channel(EtcdHealth::default());
        let app = self.app(view, etcd_health, held, &shutdown);
        let registrar = Registrar::start(self.etcd.clone(), &self.context, self.instance.clone());
        let mut background = JoinSet::new();
        background.spawn(self.watcher(view_sender).run().in_current_span());
        background.spawn(self.traces.clone().judge_quiet());
        background.spawn(etcd_health::poll(self.etcd.clone(), etcd_results));
        let receiving = receiver::run(self.receiver, self.traces, self.config.otlp, shutdown.clone());
        let campaigning = leader_election::campaign_loop(
            self.etcd.clone(),
            Self::NAME,
            self.instance.id.clone(),
            self.context.clone(),
            epoch,
            shutdown.clone(),
        );
        // The probes go on during the drain, and stop when it is over.
        let drained = Shutdown::new();
        let admin = admin::serve(
            sockets.admin,
            self.readiness.clone(),
            self.context.metrics.clone(),
            drained.clone(),
        );
        let serving = async {
            let served = serve(sockets.serve, app, Limits::default(), shutdown.clone()).await;
            drained.trigger();
            served
        };
        let announcing = announce(&registrar, self.readiness.clone(), &shutdown);
        let (served, probed, received, (), ()) = tokio::join!(serving, admin, receiving, campaigning, announcing);
        background.shutdown().await;
        registrar.leave().await;
        served
            .and(probed)
            .and(received)
            // Servers end by shutdown alone.
            .map_err(|error| ApiError::new(Reason::Internal, format!("the server failed: {error}")))
    }
}

impl Monitor {
    /// Routes of the console's port.
    fn app(
        &self,
        view: watch::Receiver<Arc<MeshView>>,
        etcd_health: watch::Receiver<EtcdHealth>,
        epoch: watch::Receiver<LeaderEpoch>,
        shutdown: &Shutdown,
    ) -> Router {
        let requests = RequestCounter::default();
        let stats = MonitorStats {
            instance: self.instance.id.clone(),
            service: Self::NAME,
            epoch,
            readiness: self.readiness.clone(),
            requests: requests.clone(),
        };
        // The drain of a monitor is the closing of its server: a page takes no time.
        let stats = StatsService::new(stats, shutdown.clone(), shutdown.clone())
            .with_conditions(self.context.conditions.clone());
        let names = [MONITOR, FLEET];
        let sources = console::ConsoleSources {
            view: view.clone(),
            etcd_health,
            traces: self.traces.clone(),
            net: self.context.net,
        };
        let pages = console::router(sources, &self.config, shutdown.clone());
        let router = mount(
            pages,
            MonitorServiceServer::new(MonitorApi::new(view, self.traces.clone())),
        );
        // What counts as load is what people and programs ask, not the streams of those who watch it.
        let router = router.layer(from_fn_with_state(requests, monitor_stats::count));
        let router = mount(router, FleetServiceServer::new(stats));
        let router = mount_protocol(
            router,
            health::service(self.readiness.clone(), &names, shutdown.clone()),
        );
        let router = reflection::mount_on(router, &names);
        let config = StackConfig {
            untraced: UNTRACED,
            ..StackConfig::new(Self::NAME, self.context.clock, self.context.metrics.clone())
        };
        stack::apply(router, config).layer(map_request(console::mark_unsampled))
    }

    fn watcher(&self, view: watch::Sender<Arc<MeshView>>) -> InstanceWatcher {
        let leader = |service| (service, LeaderWatch::start(self.etcd.clone(), service));
        let sources = WatchSources {
            directory: Directory::start(self.etcd.clone(), None, &self.context),
            leaders: ELECTING.into_iter().map(leader).collect(),
        };
        InstanceWatcher::new(
            sources,
            self.context.clone(),
            &self.config,
            self.readiness.clone(),
            view,
        )
    }
}

/// Address at which other instances reach the receiver: one that listens on all interfaces takes the advertised host.
fn receiver_address(common: &Common, receiver: &Listener) -> String {
    let address = receiver.local_addr();
    let name = common.advertise.as_deref().and_then(|name| name.rsplit_once(':'));
    match name {
        Some((host, _)) if address.ip().is_unspecified() => format!("{host}:{}", address.port()),
        _ => address.to_string(),
    }
}

/// Keeps the state of the registry entry up to date until the drain has been announced.
async fn announce(registrar: &Registrar, readiness: Readiness, shutdown: &Shutdown) {
    let mut ready = readiness.subscribe();
    loop {
        let state = if *ready.borrow_and_update() {
            NodeState::Ready
        } else {
            NodeState::Starting
        };
        registrar.set_state(state);
        tokio::select! {
            () = shutdown.triggered() => break,
            // The sender is alive: `readiness` holds it.
            _ = ready.changed() => {}
        }
    }
    readiness.set(false);
    registrar.set_state(NodeState::Draining);
}
