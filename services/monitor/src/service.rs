//! The monitor as a service: what it is built from and how it runs.
//!
//! Promises: ready once the registry has been read; on shutdown it says that it drains, answers what was asked, hands
//! over its leadership and leaves the registry. Leaves the command line to `mesh::entry`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use lepton_domain::ids::InstanceId;
use lepton_domain::reason::{Fault, Reason};
use lepton_mesh::admin;
use lepton_mesh::context::Context;
use lepton_mesh::election::LeaderWatch;
use lepton_mesh::entry::{Service, Sockets};
use lepton_mesh::etcd::Etcd;
use lepton_mesh::fleet::Fleet;
use lepton_mesh::registry::{Directory, Instance, NodeState, Registrar};
use lepton_mesh::server::health::{self, Readiness};
use lepton_mesh::server::limits::Limits;
use lepton_mesh::server::stack::{self, StackConfig, mount};
use lepton_mesh::server::{reflection, serve};
use lepton_mesh::shutdown::Shutdown;
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
use crate::view::View;

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
}

impl Service for Monitor {
    const NAME: &'static str = "monitor";
    type Config = Config;

    async fn build(config: Config, context: Context) -> Result<Self, Fault> {
        let common = &config.common;
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
            metadata: BTreeMap::new(),
        };
        Ok(Self {
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
        let app = self.app(shown, held, &shutdown);
        let registrar = Registrar::start(self.etcd.clone(), &self.context, self.instance.clone());
        let mut watching = JoinSet::new();
        watching.spawn(self.observer(view).run().in_current_span());
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
        let (served, probed, (), ()) = tokio::join!(serving, admin, stand, announcing);
        watching.shutdown().await;
        registrar.leave().await;
        served
            .and(probed)
            .map_err(|error| Fault::new(Reason::Internal, format!("the server failed: {error}")))
    }
}

impl Monitor {
    /// Everything that is served on the console's port.
    fn app(&self, view: watch::Receiver<Arc<View>>, office: watch::Receiver<Office>, shutdown: &Shutdown) -> Router {
        let requests = Requests::default();
        let own = Own {
            instance: self.instance.id.clone(),
            service: Self::NAME,
            office,
            readiness: self.readiness.clone(),
            requests: requests.clone(),
        };
        // The drain of a monitor is the closing of its server: a page takes no time.
        let told = Fleet::new(own, shutdown.clone(), shutdown.clone());
        let names = [MONITOR, FLEET];
        let pages = console::router(view.clone(), &self.config.common.cluster, self.config.console.refresh);
        let router = mount(pages, MonitorServiceServer::new(Listing::new(view)));
        // What counts as load is what people and programs ask, not the streams of those who watch it.
        let router = router.layer(from_fn_with_state(requests, fleet::count));
        let router = mount(router, FleetServiceServer::new(told));
        let router = mount(
            router,
            health::service(self.readiness.clone(), &names, shutdown.clone()),
        );
        let router = reflection::mount_on(router, &names);
        let config = StackConfig {
            service: Self::NAME,
            clock: self.context.clock,
            metrics: self.context.metrics.clone(),
        };
        stack::apply(router, config)
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
