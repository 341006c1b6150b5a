//! The part of the worker that runs tasks: opens the blob store, then keeps attempts and a session with the leader.
//!
//! Promises: waits for etcd and the blob store as long as it takes; refuses a blob store of another cluster; ends, on a
//! drain, when every report is settled. Leaves the longest drain to the [`service`](crate::service).

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use lepton_coordination::blob_store;
use lepton_coordination::election::LeaderWatch;
use lepton_coordination::etcd::Etcd;
use lepton_coordination::registry::Directory;
use lepton_core::blob::Blobs;
use lepton_core::blob::health::BlobHealth;
use lepton_core::context::Context;
use lepton_core::shutdown::Shutdown;
use lepton_domain::reason::{ApiError, Reason};
use lepton_journal::LEADER_SERVICE;
use lepton_mesh::channel::leader::LeaderChannel;
use lepton_mesh::memory_budget::MemoryBudget;
use lepton_mesh::server::health::Readiness;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::Instrument;

use crate::attempts::runner::AttemptRunner;
use crate::attempts::{Attempts, AttemptsHandle};
use crate::error::{Error, ServiceError};
use crate::kinds::Kinds;
use crate::session::{Session, WorkerIdentity};
use crate::stats::Stats;

/// Pause between two tries to reach etcd or the blob store at the start.
const OPEN_RETRY: Duration = Duration::from_millis(500);

/// Everything that running tasks takes: its [`Attempts`] and its [`Session`].
pub(crate) struct TaskRuntime {
    /// Identity of the worker, as leaders get it.
    pub(crate) identity: WorkerIdentity,
    /// Sockets, time and randomness.
    pub(crate) context: Context,
    /// Store of the leader's address and of the incarnation.
    pub(crate) etcd: Etcd,
    /// Location of large payloads: a directory or a URL.
    pub(crate) blob_store: String,
    /// Receives the blob store once it is open.
    pub(crate) opened: watch::Sender<Option<Blobs>>,
    /// Memory of fetched payloads.
    pub(crate) memory: MemoryBudget,
    /// Longest run of an attempt whose task sets none.
    pub(crate) timeout: Duration,
    /// Kinds that can be run.
    pub(crate) kinds: Kinds,
    /// Counters of attempts.
    pub(crate) stats: Stats,
    /// Set when a leader has welcomed the worker.
    pub(crate) readiness: Readiness,
    /// Triggered when nothing new is taken.
    pub(crate) draining: Shutdown,
    /// Time for the leader to notice a drain.
    pub(crate) notice: Duration,
    /// Time for attempts to end by themselves; those that still run then are handed back.
    pub(crate) drain_timeout: Duration,
}

impl TaskRuntime {
    /// Works until it has drained. Fails where waiting would not help.
    pub(crate) async fn run(self) -> Result<(), Error> {
        let blobs = tokio::select! {
            () = self.draining.triggered() => return Ok(()),
            opened = self.open_blobs() => opened?,
        };
        self.opened.send_replace(Some(blobs.clone()));
        let draining = self.draining.clone();
        let (notice, drain_timeout) = (self.notice, self.drain_timeout);
        let health = self.blob_health();
        let watched = health.watch(blobs.clone()).map(|never| match never {});
        let (attempts, handle) = Attempts::new(self.runner(blobs), self.identity.slots);
        let context = self.context.clone();
        let session = self.session(handle.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(attempts.run().in_current_span());
        tasks.spawn(session.run(context).in_current_span());
        tasks.spawn(watched.in_current_span());
        let drained = async {
            draining.triggered().await;
            // Assignments that the leader sent before it noticed the drain are on their way.
            tokio::time::sleep(notice).await;
            if timeout(drain_timeout, handle.idle()).await.is_err() {
                tracing::info!("attempts that still run are handed back");
                // Attempts that are gone hold nothing.
                let _gone = handle.hand_back().await;
                handle.idle().await;
            }
        };
        tokio::select! {
            () = drained => Ok(()),
            _ = tasks.join_next() => Err(ServiceError::TasksEnded.into()),
        }
    }

    /// Waits for etcd, which knows the incarnation, and opens the store of that incarnation.
    async fn open_blobs(&self) -> Result<Blobs, ApiError> {
        let health = self.blob_health();
        loop {
            let opened = blob_store::open(&self.etcd, &self.context.random, &self.blob_store).await;
            health.record(&opened);
            match opened {
                Ok((_incarnation, blobs)) => return Ok(blobs),
                Err(api_error) if api_error.reason == Reason::JournalUnavailable => {
                    tracing::debug!(%api_error, "waiting for etcd")
                }
                Err(api_error) if api_error.reason == Reason::BlobUnavailable => {
                    tracing::error!(%api_error, "waiting for the blob store")
                }
                Err(lasting) => return Err(lasting),
            }
            tokio::time::sleep(OPEN_RETRY).await;
        }
    }

    fn blob_health(&self) -> BlobHealth {
        BlobHealth::new(self.context.conditions.clone(), &self.blob_store)
    }

    fn runner(&self, blobs: Blobs) -> AttemptRunner {
        let slots = usize::try_from(self.identity.slots).unwrap_or(1);
        AttemptRunner {
            kinds: self.kinds.clone(),
            blobs,
            slots: Arc::new(Semaphore::new(slots)),
            memory: self.memory.clone(),
            timeout: self.timeout,
            stats: self.stats.clone(),
            clock: self.context.clock,
        }
    }

    fn session(self, attempts: AttemptsHandle) -> Session {
        let leader = LeaderWatch::start(self.etcd.clone(), LEADER_SERVICE);
        let directory = Directory::start(self.etcd.clone(), Some(LEADER_SERVICE), &self.context);
        Session {
            identity: self.identity,
            leader: LeaderChannel::start(leader, directory, &self.context),
            attempts,
            stats: self.stats,
            readiness: self.readiness,
            draining: self.draining,
        }
    }
}
