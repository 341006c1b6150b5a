//! The simulated mesh: a store, schedulers, workers and gateways, each the service that users run, on a host of its own.
//!
//! Promises: nothing but the seed decides what happens in which tick; a host that comes back after a crash is a new
//! process with the same disk. Leaves requests and faults to the tests' clients.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::time::{Duration, SystemTime};

use futures::stream;
use lepton_core::clock::Clock;
use lepton_core::conditions::Conditions;
use lepton_core::context::Context;
use lepton_core::metrics::Metrics;
use lepton_core::net::Net;
use lepton_core::random::Random;
use lepton_core::shutdown::Shutdown;
use lepton_domain::time::Timestamp;
use lepton_mesh::config::{Common, ServiceConfig};
use lepton_mesh::entry::{Service, bootstrap};
use tempfile::TempDir;

pub use control::Control;
use control::{Command, Jump};

mod control;

/// The host of the store.
pub const ETCD: &str = "etcd";
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
pub const TICK: Duration = Duration::from_millis(5);
/// How many ticks a message travels at most.
const LATENCY_TICKS_MAX: u64 = 4;

/// What a simulated program ends with.
pub type Outcome = Result<(), Box<dyn std::error::Error>>;

/// How many hosts of each service there are.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Hosts `scheduler-1` and so on.
    pub schedulers: usize,
    /// Hosts `worker-1` and so on.
    pub workers: usize,
    /// Hosts `gateway-1` and so on.
    pub gateways: usize,
}

impl Size {
    /// The names of the schedulers' hosts.
    pub fn scheduler_names(self) -> Vec<String> {
        names("scheduler", self.schedulers)
    }

    /// The names of the workers' hosts.
    pub fn worker_names(self) -> Vec<String> {
        names("worker", self.workers)
    }

    /// The names of the gateways' hosts.
    pub fn gateway_names(self) -> Vec<String> {
        names("gateway", self.gateways)
    }

    /// The names of all hosts, the client's last.
    pub fn names(self) -> Vec<String> {
        let mut all = vec![ETCD.to_owned()];
        all.extend(self.scheduler_names());
        all.extend(self.worker_names());
        all.extend(self.gateway_names());
        all.push(CLIENT.to_owned());
        all
    }
}

fn names(service: &str, count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("{service}-{number}")).collect()
}

/// A mesh that has not begun yet.
pub struct Cluster {
    sim: turmoil::Sim<'static>,
    disk: TempDir,
    seed: u64,
    size: Size,
    control: Control,
}

impl Cluster {
    /// A mesh of this size, all of whose randomness comes from `seed`.
    pub fn new(seed: u64, size: Size) -> Self {
        let sim = turmoil::Builder::new()
            .rng_seed(seed)
            .epoch(SystemTime::UNIX_EPOCH + EPOCH)
            .simulation_duration(LIMIT)
            .tick_duration(TICK)
            .build();
        let mut cluster = Self {
            sim,
            disk: tempfile::tempdir().expect("a temporary directory"),
            seed,
            size,
            control: Control::default(),
        };
        cluster.sim.host(ETCD, store);
        for name in size.scheduler_names() {
            cluster.serve::<lepton_scheduler::Scheduler>(&name);
        }
        for name in size.worker_names() {
            cluster.serve::<lepton_worker::Worker>(&name);
        }
        for name in size.gateway_names() {
            cluster.serve::<lepton_gateway::Gateway>(&name);
        }
        cluster
    }

    /// The handle by which a client crashes, restarts, freezes and slows hosts.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Runs until the client has ended, and returns the time that passed in the simulation.
    pub fn run(mut self, client: impl Future<Output = Outcome> + 'static) -> Duration {
        self.sim.client(CLIENT, client);
        self.lay_links();
        loop {
            let ended = self.sim.step().unwrap_or_else(|error| panic!("{error}"));
            for command in self.control.take() {
                match command {
                    Command::Crash(host) => self.sim.crash(host),
                    Command::Restart(host) => self.sim.bounce(host),
                    Command::Delay(host, more) => self.delay(&host, more),
                }
            }
            if ended {
                return self.sim.elapsed();
            }
        }
    }

    /// Gives every link a latency of its own.
    fn lay_links(&self) {
        let hosts = self.size.names();
        for (index, host) in hosts.iter().enumerate() {
            for other in &hosts[..index] {
                self.sim
                    .set_link_latency(host.as_str(), other.as_str(), self.latency(host, other));
            }
        }
    }

    /// Makes every message from and to a host travel this much longer.
    fn delay(&self, host: &str, more: Duration) {
        for other in self.size.names().iter().filter(|other| *other != host) {
            let latency = self.latency(host, other) + more;
            self.sim.set_link_latency(host, other.as_str(), latency);
        }
    }

    /// The latency of a link. It is the same for every message: one drawn for each would make the whole future depend
    /// on the order of messages within a tick, which threads that wait for the real disk may change.
    fn latency(&self, host: &str, other: &str) -> Duration {
        let (low, high) = if host < other { (host, other) } else { (other, host) };
        let random = Random::seeded(mixed(mixed(self.seed, low, 0), high, 0));
        let ticks = u32::try_from(1 + random.below(LATENCY_TICKS_MAX)).expect("a small number");
        TICK * ticks
    }

    /// Makes a host whose process is this service.
    fn serve<S: Service>(&mut self, name: &str) {
        let mut config = S::Config::default();
        *config.common_mut() = self.common(name);
        let (seed, lives, jump) = (self.seed, Cell::new(0), self.control.register(name));
        let host = name.to_owned();
        self.sim.host(name, move || {
            lives.set(lives.get() + 1);
            let random = Random::seeded(mixed(seed, &host, lives.get()));
            process::<S>(config.clone(), random, jump.clone())
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

/// One life of a host.
async fn process<S: Service>(config: S::Config, random: Random, jump: Jump) -> Outcome {
    let service = bootstrap::<S>(config, context(random)).await?;
    let ended: Result<_, Infallible> = tokio::select! {
        ended = service.run(Shutdown::new()) => Ok(ended),
        never = jump.apply() => Err(never),
    };
    match ended {
        Ok(ended) => Ok(ended?),
        Err(never) => match never {},
    }
}

/// What a process on a simulated host reaches the outside through.
pub fn context(random: Random) -> Context {
    let since_epoch = turmoil::since_epoch().expect("only simulated hosts make one");
    Context {
        net: Net::Simulated,
        clock: Clock::simulated(Timestamp::default().plus(since_epoch)),
        random,
        metrics: Metrics::new(),
        conditions: Conditions::default(),
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
