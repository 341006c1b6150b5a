//! Whole meshes for a test: `lepton up`, or separate services on a real etcd.
//!
//! Promises: loopback and free ports only, so that tests run side by side; ready when a call returns; everything is
//! gone afterwards, processes and directories. Leaves killing at the right moment to the tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lepton_core::net::Net;
use serde_json::Value;
use tempfile::TempDir;
use tonic::transport::Channel;

use crate::child_guard;
use crate::etcd::RealEtcd;
use crate::process::{self, Process};
use crate::rest::Rest;

/// How often it is looked whether workers have followed their parent: 5 s in all.
const ORPHANS_LOOKS: u32 = 500;

/// Any free port.
const FREE: &str = "127.0.0.1:0";

/// How `lepton up` is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Worker processes.
    pub workers: u32,
    /// The data directory; absent: a fresh one that goes with the mesh.
    pub data: Option<Arc<TempDir>>,
    /// Where the gateway listens.
    pub listen: String,
    /// More arguments.
    pub more: Vec<String>,
    /// Environment variables, such as settings of a service.
    pub variables: Vec<(&'static str, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: 2,
            data: None,
            listen: FREE.to_owned(),
            more: Vec::new(),
            variables: Vec::new(),
        }
    }
}

/// A mesh that `lepton up` runs.
#[derive(Debug)]
pub struct Up {
    /// The process.
    pub process: Process,
    /// Where it keeps its data; shared, so that another start can go on with it.
    pub data: Arc<TempDir>,
    /// The gateway's URL.
    pub gateway: String,
    /// The console's URL.
    pub console: String,
    /// The admin listener's URL.
    pub admin: String,
    /// The store, `HOST:PORT`.
    pub etcd: String,
}

/// A fresh directory that goes when the last handle does.
pub fn directory() -> Arc<TempDir> {
    Arc::new(
        tempfile::Builder::new()
            .prefix("lepton-data-")
            .tempdir()
            .expect("a temporary directory"),
    )
}

/// The command line of `lepton up` on free ports.
pub fn up_arguments(data: &Path, workers: u32) -> Vec<String> {
    up_arguments_at(FREE, data, workers)
}

fn up_arguments_at(listen: &str, data: &Path, workers: u32) -> Vec<String> {
    let line = format!("up --listen {listen} --console {FREE} --admin {FREE} --workers {workers} --data-dir");
    line.split(' ')
        .map(str::to_owned)
        .chain([data.display().to_string()])
        .collect()
}

impl Up {
    /// Starts a mesh and waits until it is ready.
    pub async fn start(options: Options) -> Self {
        let data = options.data.unwrap_or_else(directory);
        let mut arguments = up_arguments_at(&options.listen, data.path(), options.workers);
        arguments.extend(options.more);
        let mut command = child_guard::command(process::binary("lepton"));
        command.args(arguments).envs(options.variables);
        let mut process = Process::spawn("lepton", command);
        let ready = process.ready().await;
        let value = |key: &str| {
            ready
                .get(key)
                .unwrap_or_else(|| panic!("no {key} in the ready line: {ready:?}"))
                .clone()
        };
        assert_eq!(
            value("pid"),
            process.pid().to_string(),
            "the ready line names its process"
        );
        let [gateway, console, admin, etcd] = ["gateway", "console", "admin", "etcd"].map(value);
        Self {
            process,
            data,
            gateway,
            console,
            admin,
            etcd,
        }
    }

    /// A mesh with default options.
    pub async fn fresh() -> Self {
        Self::start(Options::default()).await
    }

    /// The gateway over REST.
    pub fn rest(&self) -> Rest {
        Rest::at(&self.gateway)
    }

    /// The gateway over gRPC.
    pub fn channel(&self) -> Channel {
        Net::Os.channel(&self.gateway)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let workers = process::children(self.process.pid());
        self.process.kill();
        // They end by themselves, but only then is nobody left who writes into the directory.
        for _ in 0..ORPHANS_LOOKS {
            if !workers.iter().any(|(pid, _)| process::is_alive(*pid)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        workers
            .iter()
            .filter(|(pid, _)| process::is_alive(*pid))
            .for_each(|(pid, _)| process::signal(*pid, "KILL"));
    }
}

/// How many of each service a [`Cluster`] has.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Gateways.
    pub gateways: usize,
    /// Schedulers.
    pub schedulers: usize,
    /// Workers.
    pub workers: usize,
    /// Monitors.
    pub monitors: usize,
}

/// One service in a process of its own.
#[derive(Debug)]
pub struct Member {
    /// `gateway`, `scheduler`, `worker` or `monitor`.
    pub service: &'static str,
    /// Its name in the registry.
    pub instance: String,
    /// The process.
    pub process: Process,
    /// Where it serves, `HOST:PORT`.
    pub address: String,
    /// Where its probes and metrics are.
    pub admin: String,
}

/// What is special about a [`Cluster`].
#[derive(Debug, Clone, Default)]
pub struct Special {
    /// Environment variables of a service's processes.
    pub environment: BTreeMap<&'static str, Vec<(&'static str, String)>>,
    /// Where a service reaches the store (`HOST:PORT`), for those that take another way than the direct one.
    pub detours: BTreeMap<&'static str, String>,
}

/// Services in processes of their own, on a real etcd.
#[derive(Debug)]
pub struct Cluster {
    // Before the store, so that they go first.
    members: Vec<Member>,
    /// The store.
    pub etcd: RealEtcd,
    directory: Arc<TempDir>,
    /// Started so far, for names that are never used twice.
    started: usize,
    special: Special,
}

impl Cluster {
    /// Starts everything and waits until all of it is ready.
    pub async fn start(sizes: Sizes) -> Self {
        Self::start_on(RealEtcd::start(1).await, sizes, Special::default()).await
    }

    /// Starts everything on this store and waits until all of it is ready.
    pub async fn start_on(etcd: RealEtcd, sizes: Sizes, special: Special) -> Self {
        let mut cluster = Self {
            members: Vec::new(),
            etcd,
            directory: directory(),
            started: 0,
            special,
        };
        let services = [
            ("scheduler", sizes.schedulers),
            ("worker", sizes.workers),
            ("gateway", sizes.gateways),
            ("monitor", sizes.monitors),
        ];
        let mut fresh = Vec::new();
        for (service, count) in services {
            (0..count).for_each(|_| fresh.push(cluster.spawn(service)));
        }
        for (service, instance, process) in fresh {
            cluster.admit(service, instance, process).await;
        }
        cluster
    }

    /// Starts one more of a service and waits until it is ready.
    pub async fn add(&mut self, service: &'static str) -> &Member {
        let (service, instance, process) = self.spawn(service);
        self.admit(service, instance, process).await;
        self.members.last().expect("one was just added")
    }

    /// Starts one more of a service with these settings besides, and waits until it is ready.
    pub async fn add_with(&mut self, service: &'static str, variables: &[(&'static str, &str)]) -> &Member {
        let given = self.special.environment.get(service).cloned();
        let settings = self.special.environment.entry(service).or_default();
        settings.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let (service, instance, process) = self.spawn(service);
        self.special.environment.insert(service, given.unwrap_or_default());
        self.admit(service, instance, process).await;
        self.members.last().expect("one was just added")
    }

    /// Starts one that has ended again, under its old name and with its data, and waits until it is ready.
    pub async fn revive(&mut self, instance: &str) -> &Member {
        let gone = self.members.iter().position(|member| member.instance == instance);
        let gone = self
            .members
            .remove(gone.unwrap_or_else(|| panic!("there is no {instance}")));
        let process = self.launch(gone.service, instance);
        self.admit(gone.service, gone.instance, process).await;
        self.members.last().expect("one was just added")
    }

    /// Starts one that has ended again, under its old name and with its data, where it is not expected to become ready.
    pub fn relaunch(&self, instance: &str) -> Process {
        let gone = self.members.iter().find(|member| member.instance == instance);
        let gone = gone.unwrap_or_else(|| panic!("there is no {instance}"));
        self.launch(gone.service, instance)
    }

    /// Those of a service that were started and not removed, in the order of their start.
    pub fn of(&self, service: &str) -> Vec<&Member> {
        self.members.iter().filter(|member| member.service == service).collect()
    }

    /// One of a service, to kill, freeze or drain it.
    pub fn member(&mut self, service: &str, number: usize) -> &mut Member {
        let mut members = self.members.iter_mut().filter(|member| member.service == service);
        members
            .nth(number)
            .unwrap_or_else(|| panic!("there is no {service} number {number}"))
    }

    /// The one with this name in the registry.
    pub fn instance(&mut self, instance: &str) -> &mut Member {
        let mut members = self.members.iter_mut();
        members
            .find(|member| member.instance == instance)
            .unwrap_or_else(|| panic!("there is no {instance}"))
    }

    /// A gateway over REST.
    pub fn rest(&self, number: usize) -> Rest {
        Rest::at(&self.of("gateway")[number].address)
    }

    /// A gateway over gRPC.
    pub fn channel(&self, number: usize) -> Channel {
        Net::Os.channel(&self.of("gateway")[number].address)
    }

    /// The directory that all of it works in.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn spawn(&mut self, service: &'static str) -> (&'static str, String, Process) {
        self.started += 1;
        let instance = format!("{service}-{}", self.started);
        let process = self.launch(service, &instance);
        (service, instance, process)
    }

    fn launch(&self, service: &'static str, instance: &str) -> Process {
        let direct = self.etcd.endpoints();
        let store = self
            .special
            .detours
            .get(service)
            .map_or(direct.as_slice(), std::slice::from_ref);
        let store: Vec<String> = store.iter().map(|endpoint| format!("http://{endpoint}")).collect();
        let flags = [
            ("--etcd", store.join(",")),
            ("--listen", FREE.to_owned()),
            ("--admin", FREE.to_owned()),
            ("--instance", instance.to_owned()),
            ("--data-dir", self.path(instance)),
            ("--blob", self.path("blobs")),
        ];
        let program = format!("lepton-{service}");
        let mut command = child_guard::command(process::binary(&program));
        for (name, value) in flags {
            command.arg(name).arg(value);
        }
        let environment = self.special.environment.get(service);
        command.envs(environment.into_iter().flatten().cloned());
        Process::spawn(&program, command)
    }

    async fn admit(&mut self, service: &'static str, instance: String, mut process: Process) {
        let ready: BTreeMap<String, String> = process.ready().await;
        assert_eq!(ready["service"], service);
        let (address, admin) = (ready["address"].clone(), ready["admin"].clone());
        self.members.push(Member {
            service,
            instance,
            process,
            address,
            admin,
        });
    }

    fn path(&self, name: &str) -> String {
        let path: PathBuf = self.directory.path().join(name);
        path.display().to_string()
    }
}

/// What `/api/v1/nodes` lists.
pub async fn nodes(rest: &Rest) -> Vec<Value> {
    let answer = rest.get("/api/v1/nodes").await;
    answer.json()["nodes"]
        .as_array()
        .unwrap_or_else(|| panic!("no nodes: {}", answer.text()))
        .clone()
}

/// The name of the scheduler that leads, as a gateway knows it.
pub async fn leader(rest: &Rest) -> Option<String> {
    let nodes = nodes(rest).await;
    let leader = nodes
        .iter()
        .find(|node| node["service"] == "scheduler" && node["leader"] == true)?;
    Some(leader["id"].as_str()?.to_owned())
}
