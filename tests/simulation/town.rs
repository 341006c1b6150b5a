//! The simulated mesh: a store, two schedulers, a worker and a gateway, each the service that the binaries run, on a
//! host of its own.
//!
//! Promises: nothing but the seed decides what happens in which tick; a host that comes back after a crash is a new
//! process with the same disk. Leaves what is asked of the mesh to the tests' clients.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use futures::stream;
use lepton_core::clock::Clock;
use lepton_core::context::Context;
use lepton_core::metrics::Metrics;
use lepton_core::net::Net;
use lepton_core::random::Random;
use lepton_core::shutdown::Shutdown;
use lepton_domain::time::Timestamp;
use lepton_mesh::config::{Common, ServiceConfig};
use lepton_mesh::entry::{Service, bootstrap};
use tempfile::TempDir;

/// The host of the store.
pub const ETCD: &str = "etcd";
/// The hosts of the schedulers.
pub const SCHEDULERS: [&str; 2] = ["scheduler-1", "scheduler-2"];
/// The host of the worker.
pub const WORKER: &str = "worker-1";
/// The host of the gateway.
pub const GATEWAY: &str = "gateway-1";
/// The host of the client.
pub const CLIENT: &str = "client";
/// Where services listen.
pub const PORT: u16 = 8000;

const ADMIN_PORT: u16 = 9000;
const ETCD_PORT: u16 = 2379;

/// When every simulation begins: 2026-01-01.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);
/// No simulation lasts longer, in its own time.
const LIMIT: Duration = Duration::from_secs(600);
/// How fine the simulation is: what is in the network moves this often.
const TICK: Duration = Duration::from_millis(5);
/// How many ticks a message travels at most.
const LATENCY_TICKS_MAX: u64 = 4;

/// What a simulated program ends with.
pub type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A mesh that has not begun yet.
pub struct Town {
    sim: turmoil::Sim<'static>,
    disk: TempDir,
    seed: u64,
    orders: Orders,
}

/// What a client wants done to hosts: only the simulation itself can do it.
#[derive(Clone, Default)]
pub struct Orders(Rc<RefCell<Vec<Order>>>);

enum Order {
    Crash(String),
    Bounce(String),
}

impl Orders {
    /// Ends a host's process at once.
    pub fn crash(&self, host: &str) {
        self.0.borrow_mut().push(Order::Crash(host.to_owned()));
    }

    /// Starts a crashed host's process again.
    pub fn bounce(&self, host: &str) {
        self.0.borrow_mut().push(Order::Bounce(host.to_owned()));
    }
}

impl Town {
    /// A mesh whose every chance comes from `seed`.
    pub fn new(seed: u64) -> Self {
        let sim = turmoil::Builder::new()
            .rng_seed(seed)
            .epoch(SystemTime::UNIX_EPOCH + EPOCH)
            .simulation_duration(LIMIT)
            .tick_duration(TICK)
            .build();
        let mut town = Self {
            sim,
            disk: tempfile::tempdir().expect("a temporary directory"),
            seed,
            orders: Orders::default(),
        };
        town.sim.host(ETCD, store);
        for name in SCHEDULERS {
            town.serve::<lepton_scheduler::Scheduler>(name);
        }
        town.serve::<lepton_worker::Worker>(WORKER);
        town.serve::<lepton_gateway::Gateway>(GATEWAY);
        town
    }

    /// Where orders are given.
    pub fn orders(&self) -> Orders {
        self.orders.clone()
    }

    /// Runs until the client has ended, and gives the time that passed in the simulation.
    pub fn run(mut self, client: impl Future<Output = Outcome> + 'static) -> Duration {
        self.sim.client(CLIENT, client);
        self.lay_links();
        loop {
            let ended = self.sim.step().unwrap_or_else(|error| panic!("{error}"));
            for order in self.orders.0.take() {
                match order {
                    Order::Crash(host) => self.sim.crash(host),
                    Order::Bounce(host) => self.sim.bounce(host),
                }
            }
            if ended {
                return self.sim.elapsed();
            }
        }
    }

    /// Gives every link a latency of its own, which stays: one drawn for each message would make the whole future hang
    /// on the order of messages within a tick, and there threads that wait for the real disk have a say.
    fn lay_links(&self) {
        let random = Random::seeded(self.seed);
        let hosts = [ETCD, SCHEDULERS[0], SCHEDULERS[1], WORKER, GATEWAY, CLIENT];
        for (index, host) in hosts.iter().enumerate() {
            for other in &hosts[..index] {
                let ticks = u32::try_from(1 + random.below(LATENCY_TICKS_MAX)).expect("a small number");
                self.sim.set_link_latency(*host, *other, TICK * ticks);
            }
        }
    }

    /// Makes a host whose process is this service.
    fn serve<S: Service>(&mut self, name: &'static str) {
        let mut config = S::Config::default();
        *config.common_mut() = self.common(name);
        let (seed, lives) = (self.seed, Cell::new(0));
        self.sim.host(name, move || {
            lives.set(lives.get() + 1);
            let (config, random) = (config.clone(), Random::seeded(mixed(seed, name, lives.get())));
            async move {
                let service = bootstrap::<S>(config, context(random)).await?;
                Ok(service.run(Shutdown::new()).await?)
            }
        });
    }

    fn common(&self, name: &str) -> Common {
        let directory = self.disk.path();
        Common {
            etcd: vec![format!("http://{ETCD}:{ETCD_PORT}")],
            listen: format!("0.0.0.0:{PORT}"),
            admin: format!("0.0.0.0:{ADMIN_PORT}"),
            advertise: Some(format!("{name}:{PORT}")),
            data_dir: directory.join(name),
            blob: Some(directory.join("blobs").display().to_string()),
            instance: Some(name.to_owned()),
            ..Common::default()
        }
    }
}

/// What a process on a simulated host touches the world with.
pub fn context(random: Random) -> Context {
    let since_epoch = turmoil::since_epoch().expect("only simulated hosts make one");
    Context {
        net: Net::Simulated,
        clock: Clock::simulated(Timestamp::default().plus(since_epoch)),
        random,
        metrics: Metrics::new(),
    }
}

/// The address of the store.
pub fn etcd_endpoints() -> Vec<String> {
    vec![format!("{ETCD}:{ETCD_PORT}")]
}

/// One seed for each life of each host.
fn mixed(seed: u64, name: &str, life: u64) -> u64 {
    let bytes = name.bytes().map(u64::from);
    bytes
        .chain([life])
        .fold(seed, |mixed, byte| Random::seeded(mixed ^ byte).next_u64())
}

async fn store() -> Outcome {
    let server = lepton_embedded_etcd::Config::in_memory().build()?;
    let listener = Net::Simulated.bind(&format!("0.0.0.0:{ETCD_PORT}")).await?;
    let incoming = stream::unfold(listener, async |listener| {
        let connection = listener.accept().await.map(|(stream, _)| stream);
        Some((connection, listener))
    });
    Ok(server.run(incoming, std::future::pending()).await?)
}
