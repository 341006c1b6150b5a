//! The part of the worker that runs tasks: opens the blob store, then keeps slots and a session with the leader.
//!
//! Promises: waits for etcd and the blob store as long as it takes; refuses a blob store of another cluster; ends, on a
//! drain, when every report is settled. Leaves the longest drain to the service.

use std::sync::Arc;
use std::time::Duration;

use lepton_coordination::election::LeaderWatch;
use lepton_coordination::etcd::{Etcd, incarnation};
use lepton_coordination::registry::Directory;
use lepton_core::blob::Blobs;
use lepton_core::context::Context;
use lepton_core::shutdown::Shutdown;
use lepton_domain::reason::{Fault, Reason};
use lepton_journal::LEADER_SERVICE;
use lepton_mesh::channel::leader::LeaderChannel;
use lepton_mesh::server::health::Readiness;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::attempt::Runner;
use crate::kind::Kinds;
use crate::memory::Memory;
use crate::session::{Identity, Session};
use crate::slots::Slots;
use crate::stats::Stats;

/// The pause between two tries to reach etcd or the blob store at the start.
const PAUSE: Duration = Duration::from_millis(500);

/// What running tasks takes.
pub struct Labor {
    /// Who the worker is, as it tells leaders.
    pub identity: Identity,
    /// Sockets, time and randomness.
    pub context: Context,
    /// Where leaders are found.
    pub etcd: Etcd,
    /// Where large payloads lie: a directory or a URL.
    pub blob_store: String,
    /// Told of the blob store once it is open.
    pub opened: watch::Sender<Option<Blobs>>,
    /// What fetched payloads take.
    pub memory: Memory,
    /// How long an attempt may run whose task does not say it.
    pub timeout: Duration,
    /// What can be run.
    pub kinds: Kinds,
    /// What is told of it.
    pub stats: Stats,
    /// Set when a leader has welcomed the worker.
    pub readiness: Readiness,
    /// Triggered when nothing new is taken.
    pub draining: Shutdown,
    /// How long the leader gets to hear of a drain.
    pub notice: Duration,
}

impl Labor {
    /// Works until it has drained. Fails where waiting would not help.
    pub async fn run(self) -> Result<(), Fault> {
        let blobs = tokio::select! {
            () = self.draining.triggered() => return Ok(()),
            opened = self.open_blobs() => opened?,
        };
        self.opened.send_replace(Some(blobs.clone()));
        let draining = self.draining.clone();
        let notice = self.notice;
        let (slots, handle) = Slots::new(self.runner(blobs), self.identity.slots);
        let context = self.context.clone();
        let session = self.session(handle.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(slots.run().in_current_span());
        tasks.spawn(session.run(context).in_current_span());
        let drained = async {
            draining.triggered().await;
            // What the leader sent before it heard of the drain is on its way.
            tokio::time::sleep(notice).await;
            handle.idle().await;
        };
        tokio::select! {
            () = drained => Ok(()),
            _ = tasks.join_next() => Err(Fault::new(Reason::Internal, "the worker's session or its slots failed")),
        }
    }

    /// Waits for etcd, which knows the incarnation, and opens the store of that incarnation.
    async fn open_blobs(&self) -> Result<Blobs, Fault> {
        loop {
            let opened = match incarnation(&self.etcd, &self.context.random).await {
                Ok(incarnation) => Blobs::open(&self.blob_store, &incarnation).await,
                Err(error) => Err(error.fault()),
            };
            match opened {
                Err(fault) if matches!(fault.reason, Reason::JournalUnavailable | Reason::BlobUnavailable) => {
                    tracing::debug!(%fault, "waiting for etcd and the blob store");
                    tokio::time::sleep(PAUSE).await;
                }
                decided => return decided,
            }
        }
    }

    fn runner(&self, blobs: Blobs) -> Runner {
        let slots = usize::try_from(self.identity.slots).unwrap_or(1);
        Runner {
            kinds: self.kinds.clone(),
            blobs,
            slots: Arc::new(Semaphore::new(slots)),
            memory: self.memory.clone(),
            timeout: self.timeout,
            stats: self.stats.clone(),
            clock: self.context.clock,
        }
    }

    fn session(self, slots: crate::slots::SlotsHandle) -> Session {
        let leader = LeaderWatch::start(self.etcd.clone(), LEADER_SERVICE);
        let directory = Directory::start(self.etcd.clone(), Some(LEADER_SERVICE), &self.context);
        Session {
            identity: self.identity,
            leader: LeaderChannel::start(leader, directory, &self.context),
            slots,
            stats: self.stats,
            readiness: self.readiness,
            draining: self.draining,
        }
    }
}
