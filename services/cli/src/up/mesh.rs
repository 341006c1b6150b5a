//! The mesh of `lepton up`: store, services and workers, from the first socket to the last drain.
//!
//! Promises: every address is bound before anything runs; the ready line comes when a request would succeed; what fails
//! on the way ends everything in order. The order of the end: gateway, workers, scheduler, monitor, store.

use std::future::Future;

use lepton_coordination::etcd::Etcd;
use lepton_core::context::Context;
use lepton_core::shutdown::Shutdown;
use lepton_domain::reason::{ApiError, Reason};
use lepton_gateway::Gateway;
use lepton_mesh::config::Common;
use lepton_mesh::config::address::etcd_members;
use lepton_mesh::entry::{Bound, Service, announce, bootstrap};
use lepton_monitor::Monitor;
use lepton_scheduler::Scheduler;
use tokio::task::{JoinHandle, JoinSet};

use super::directory::DataDirectory;
use super::plan::{LaunchPlan, WorkerCommand};
use super::store::{Store, StoreListener};
use super::supervise::supervise;

/// Everything, bound and built.
pub(super) struct Mesh {
    context: Context,
    common: Common,
    workers: Vec<WorkerCommand>,
    directory: DataDirectory,
    store: Option<Store>,
    etcd: String,
    gateway: Bound<Gateway>,
    scheduler: Bound<Scheduler>,
    monitor: Bound<Monitor>,
}

impl Mesh {
    /// Takes every address first: a taken one must leave the data directory as it was.
    pub async fn assemble(plan: &LaunchPlan, context: Context) -> Result<Self, ApiError> {
        let options = &plan.options;
        let listener = match options.etcd.is_empty() {
            true => Some(StoreListener::bind(&options.etcd_listen, &context).await?),
            false => None,
        };
        let urls = match &listener {
            Some(listener) => vec![format!("http://{}", listener.address())],
            None => etcd_members(&options.etcd)?,
        };
        let etcd = urls
            .first()
            .map(|url| url.trim_start_matches("http://").to_owned())
            .unwrap_or_default();
        let data = std::path::absolute(&options.data_dir).map_err(|error| {
            ApiError::new(
                Reason::DataDirNotWritable,
                format!("{}: {error}", options.data_dir.display()),
            )
        })?;
        let shared = plan.shared(&data, &urls);
        let workers = (1..=options.workers).map(|number| plan.worker(&shared, number));
        let workers = workers.collect::<Result<_, _>>()?;
        let gateway = bootstrap::<Gateway>(plan.gateway(&shared)?, context.clone()).await?;
        let monitor = bootstrap::<Monitor>(plan.monitor(&shared)?, context.clone()).await?;
        let scheduler = plan.scheduler(&shared)?;
        let common = scheduler.common.clone();
        let scheduler = bootstrap::<Scheduler>(scheduler, context.clone()).await?;
        let directory = DataDirectory::open(&data)?;
        let store = listener
            .map(|listener| listener.open(data.join("etcd"), context.random.next_u64()))
            .transpose()?;
        Ok(Self {
            context,
            common,
            workers,
            directory,
            store,
            etcd,
            gateway,
            scheduler,
            monitor,
        })
    }

    /// The store, for what does not belong to one service.
    pub fn etcd(&self) -> Etcd {
        Etcd::connect(&self.context, &self.common.etcd, &self.common.cluster)
    }

    /// Runs until `shutdown`, or until a part fails.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), ApiError> {
        let line = self.ready_line();
        let ready = (self.gateway.readiness(), self.monitor.readiness());
        let mut parts = self.start();
        tokio::select! {
            () = shutdown.triggered() => return parts.end(None).await,
            error = parts.failed() => return parts.end(Some(error)).await,
            () = async { tokio::join!(ready.0.wait(), ready.1.wait()); } => announce(&line),
        }
        let error = tokio::select! {
            () = shutdown.triggered() => None,
            error = parts.failed() => Some(error),
        };
        parts.end(error).await
    }

    fn ready_line(&self) -> String {
        let (gateway, console, admin) = (self.gateway.address, self.monitor.address, self.gateway.admin);
        let (etcd, pid) = (&self.etcd, std::process::id());
        format!("ready gateway=http://{gateway} console=http://{console} admin=http://{admin} etcd={etcd} pid={pid}")
    }

    fn start(self) -> Parts {
        let store = self.store.map(|store| Part::start("store", |stop| store.run(stop)));
        let scheduler = Part::service("scheduler", self.scheduler);
        let monitor = Part::service("monitor", self.monitor);
        let gateway = Part::service("gateway", self.gateway);
        let stop = Shutdown::new();
        let mut workers = JoinSet::new();
        for (number, worker) in (1..).zip(self.workers) {
            workers.spawn(supervise(number, worker, self.context.clock, stop.clone()));
        }
        Parts {
            gateway,
            workers,
            stop_workers: stop,
            scheduler,
            monitor,
            store,
            _directory: self.directory,
        }
    }
}

/// A part that runs in this process.
struct Part {
    name: &'static str,
    stop: Shutdown,
    running: JoinHandle<Result<(), ApiError>>,
    ended: bool,
}

impl Part {
    fn start<F>(name: &'static str, run: impl FnOnce(Shutdown) -> F) -> Self
    where
        F: Future<Output = Result<(), ApiError>> + Send + 'static,
    {
        let stop = Shutdown::new();
        Self {
            name,
            running: tokio::spawn(run(stop.clone())),
            stop,
            ended: false,
        }
    }

    fn service<S: Service>(name: &'static str, bound: Bound<S>) -> Self {
        Self::start(name, |stop| bound.run(stop))
    }

    /// Waits for its end, which nobody has asked for: a part ends by itself only by an error.
    async fn failed(&mut self) -> ApiError {
        let outcome = self.outcome().await;
        outcome
            .err()
            .unwrap_or_else(|| ApiError::new(Reason::Internal, format!("the {} ended by itself", self.name)))
    }

    async fn end(&mut self) -> Result<(), ApiError> {
        self.stop.trigger();
        if self.ended { Ok(()) } else { self.outcome().await }
    }

    async fn outcome(&mut self) -> Result<(), ApiError> {
        let outcome = (&mut self.running).await;
        self.ended = true;
        // Parts do not panic, and are not aborted.
        outcome.unwrap_or_else(|error| {
            Err(ApiError::new(
                Reason::Internal,
                format!("the {} crashed: {error}", self.name),
            ))
        })
    }
}

/// All parts, while they run.
struct Parts {
    gateway: Part,
    workers: JoinSet<()>,
    stop_workers: Shutdown,
    scheduler: Part,
    monitor: Part,
    store: Option<Part>,
    /// Locked until everything has ended.
    _directory: DataDirectory,
}

impl Parts {
    /// The first part that ends by itself.
    async fn failed(&mut self) -> ApiError {
        let store = async {
            match &mut self.store {
                Some(store) => store.failed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            error = self.gateway.failed() => error,
            error = self.scheduler.failed() => error,
            error = self.monitor.failed() => error,
            error = store => error,
        }
    }

    /// Ends everything in order; gives the error that led here, or the first one on the way.
    async fn end(mut self, cause: Option<ApiError>) -> Result<(), ApiError> {
        let gateway = self.gateway.end().await;
        self.stop_workers.trigger();
        while self.workers.join_next().await.is_some() {}
        let scheduler = self.scheduler.end().await;
        let monitor = self.monitor.end().await;
        let store = match &mut self.store {
            Some(store) => store.end().await,
            None => Ok(()),
        };
        cause
            .map_or(Ok(()), Err)
            .and(gateway)
            .and(scheduler)
            .and(monitor)
            .and(store)
    }
}
