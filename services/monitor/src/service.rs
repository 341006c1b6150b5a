//! The monitor as a service: what it is built from and how it runs.
//!
//! Promises: ready once the registry has been read; on shutdown it says that it drains, answers what was asked, hands
//! over its leadership and leaves the registry. Leaves the command line to `mesh::entry`.

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
use lepton_domain::reason::{Fault, Reason};
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

use crate::candidacy::{self, Office};
use crate::config::Config;
use crate::console;
use crate::discover::{Observer, Sources};
use crate::fleet::{self, Own, Requests};
use crate::incidents::Listing;
use crate::otlp::{Traces, receive};
use crate::store::{self, Store};
use crate::view::View;

/// Streams of figures stay open, too long for a span.
const UNTRACED: &[&str] = &["/lepton.fleet.v1.FleetService/"];

/// The services that elect a leader.
const ELECTING: [&str; 2] = ["scheduler", Monitor::NAME];

/// The monitor.
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
        help: "Where to take traces by OTLP, over gRPC and HTTP; port 0 takes a free one",
    }];
    type Config = Config;

    async fn build(config: Config, context: Context) -> Result<Self, Fault> {
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

    async fn run(self, sockets: Sockets, shutdown: Shutdown) -> Result<(), Fault> {
        let (view, shown) = watch::channel(Arc::new(View::default()));
        let (office, held) = watch::channel(None);
        let (told, store) = watch::channel(Store::default());
        let app = self.app(shown, store, held, &shutdown);
        let registrar = Registrar::start(self.etcd.clone(), &self.context, self.instance.clone());
        let mut watching = JoinSet::new();
        watching.spawn(self.observer(view).run().in_current_span());
        watching.spawn(self.traces.clone().settle());
        watching.spawn(store::ask(self.etcd.clone(), told));
        let receiving = receive::run(self.receiver, self.traces, self.config.otlp, shutdown.clone());
        let stand = candidacy::stand(
            self.etcd.clone(),
            Self::NAME,
            self.instance.id.clone(),
            self.context.clone(),
            office,
            shutdown.clone(),
        );
        // The probes go on during the drain: they are told to stop when it is over.
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
        let (served, probed, received, (), ()) = tokio::join!(serving, admin, receiving, stand, announcing);
        watching.shutdown().await;
        registrar.leave().await;
        served
            .and(probed)
            .and(received)
            .map_err(|error| Fault::new(Reason::Internal, format!("the server failed: {error}")))
    }
}

impl Monitor {
    /// Everything that is served on the console's port.
    fn app(
        &self,
        view: watch::Receiver<Arc<View>>,
        store: watch::Receiver<Store>,
        office: watch::Receiver<Office>,
        shutdown: &Shutdown,
    ) -> Router {
        let requests = Requests::default();
        let own = Own {
            instance: self.instance.id.clone(),
            service: Self::NAME,
            office,
            readiness: self.readiness.clone(),
            requests: requests.clone(),
        };
        // The drain of a monitor is the closing of its server: a page takes no time.
        let told = StatsService::new(own, shutdown.clone(), shutdown.clone());
        let names = [MONITOR, FLEET];
        let shown = console::Sources {
            view: view.clone(),
            store,
            traces: self.traces.clone(),
            net: self.context.net,
        };
        let pages = console::router(shown, &self.config, shutdown.clone());
        let router = mount(
            pages,
            MonitorServiceServer::new(Listing::new(view, self.traces.clone())),
        );
        // What counts as load is what people and programs ask, not the streams of those who watch it.
        let router = router.layer(from_fn_with_state(requests, fleet::count));
        let router = mount(router, FleetServiceServer::new(told));
        let router = mount_protocol(
            router,
            health::service(self.readiness.clone(), &names, shutdown.clone()),
        );
        let router = reflection::mount_on(router, &names);
        let config = StackConfig {
            untraced: UNTRACED,
            ..StackConfig::new(Self::NAME, self.context.clock, self.context.metrics.clone())
        };
        stack::apply(router, config).layer(map_request(console::untraced))
    }

    fn observer(&self, view: watch::Sender<Arc<View>>) -> Observer {
        let leader = |service| (service, LeaderWatch::start(self.etcd.clone(), service));
        let sources = Sources {
            directory: Directory::start(self.etcd.clone(), None, &self.context),
            leaders: ELECTING.into_iter().map(leader).collect(),
        };
        Observer::new(
            sources,
            self.context.clone(),
            self.config.stats.clone(),
            self.readiness.clone(),
            view,
        )
    }
}

/// Where other instances reach the receiver: one that listens everywhere is known by the name of this one.
fn receiver_address(common: &Common, receiver: &Listener) -> String {
    let address = receiver.local_addr();
    let name = common.advertise.as_deref().and_then(|name| name.rsplit_once(':'));
    match name {
        Some((host, _)) if address.ip().is_unspecified() => format!("{host}:{}", address.port()),
        _ => address.to_string(),
    }
}

/// Keeps the entry's state true until the drain has been announced.
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
