//! The role loop: follow -> lead -> resign, again and again.
//!
//! Promises: at any time this scheduler is a standby or a leader, never both; handlers find a leader here only while
//! one runs whose epoch has committed its start.

use std::time::Duration;

use futures::FutureExt as _;
use lepton_coordination::blob_store;
use lepton_coordination::election::{FailureDetector, Leadership};
use lepton_core::backoff::Backoff;
use lepton_core::blob::Blobs;
use lepton_core::blob::health::BlobHealth;
use lepton_core::shutdown::Shutdown;
use lepton_domain::reason::Reason;
use lepton_journal::Replica;
use lepton_journal::append::Writer;
use lepton_journal::mark_key::MarkKey;
use lepton_journal::takeover::{TakeoverError, take_over};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::compaction::compact;
use crate::config::Config;
use crate::error::{LeadershipLost, RunError};
use crate::formats::SupportedFormats;
use crate::high_water_mark::HighWaterMark;
use crate::leader::peer_mark::{self, PeerMarks};
use crate::leader::{JournalClock, Leader, LeaderContext};
use crate::leader_handle::LeaderHandle;
use crate::message::Message;
use crate::standby::Standby;
use crate::status::{Role, SchedulerStatus};
use crate::sweeper::Sweeper;

/// Messages that wait for the [`Leader`].
const INBOX_MAX: usize = 16_384;
/// Time that a scheduler that could not take over stays away from the election.
const RETREAT: Duration = Duration::from_secs(2);
/// First pause before etcd and the blob store are tried again at the start.
const OPEN_RETRY_MIN: Duration = Duration::from_millis(125);
/// Longest such pause.
const OPEN_RETRY_MAX: Duration = Duration::from_millis(500);
/// Interval at which a leader whose leadership is in doubt proves it.
const SUSPECT_INTERVAL: Duration = Duration::from_secs(2);

/// The loop and everything that it needs.
pub(crate) struct RoleLoop {
    /// The standby.
    pub standby: Standby,
    /// The settings.
    pub config: Config,
    /// Formats of the journal that the schedulers support.
    pub formats: SupportedFormats,
    /// The furthest mark received; see [`HighWaterMark`].
    pub high_water: HighWaterMark,
    /// Slot of the leader's handle, filled while this scheduler leads.
    pub slot: watch::Sender<Option<LeaderHandle>>,
    /// [`FailureDetector`] of the leader, armed while this standby could take over.
    pub detector: FailureDetector,
}

impl RoleLoop {
    /// Runs until the service stops. Fails with [`RunError::ForeignBlobStore`] when the blob store is another mesh's.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), RunError> {
        let (mut incarnation, blobs) = tokio::select! {
            () = shutdown.triggered() => return Ok(()),
            opened = self.open() => opened?,
        };
        let mut background = JoinSet::new();
        let watched = self.blob_health().watch(blobs.clone());
        background.spawn(watched.map(|never| match never {}));
        let grace = self.config.tasks.blob_grace;
        let sweeper = Sweeper::start(blobs.clone(), self.standby.context.clock, grace, &mut background);
        while !shutdown.is_triggered() {
            let (leadership, replica) = tokio::select! {
                () = shutdown.triggered() => return Ok(()),
                won = self.standby.wait(&mut incarnation, &self.detector) => won,
            };
            self.detector.arm(false);
            let stores = (blobs.clone(), sweeper.clone());
            self.lead(leadership, replica, stores, &shutdown).await;
        }
        Ok(())
    }

    /// Waits for etcd and for the blob store. Fails when the store belongs to another etcd.
    async fn open(&self) -> Result<(String, Blobs), RunError> {
        let Standby { etcd, context, .. } = &self.standby;
        let health = self.blob_health();
        let mut backoff = Backoff::new(OPEN_RETRY_MIN, OPEN_RETRY_MAX);
        loop {
            let opened = blob_store::open(etcd, &context.random, &self.config.common.blob_store()).await;
            health.record(&opened);
            match opened {
                Ok(opened) => return Ok(opened),
                Err(api_error) if api_error.reason == Reason::BlobStoreMismatch => {
                    return Err(RunError::ForeignBlobStore(api_error));
                }
                Err(api_error) if api_error.reason == Reason::JournalUnavailable => {
                    tracing::debug!(%api_error, "etcd is away")
                }
                Err(api_error) => tracing::error!(%api_error, "the blob store cannot be used"),
            }
            tokio::time::sleep(backoff.delay()).await;
        }
    }

    fn blob_health(&self) -> BlobHealth {
        let conditions = self.standby.context.conditions.clone();
        BlobHealth::new(conditions, &self.config.common.blob_store())
    }

    fn leader_context(&self, (blobs, sweeper): (Blobs, Sweeper), key: MarkKey) -> LeaderContext {
        LeaderContext {
            tuning: self.config.journal.clone(),
            policy: self.config.tasks.policy(),
            queue: self.config.queue.queue(),
            unplaceable_after: self.config.tasks.unplaceable_after,
            conditions: self.standby.context.conditions.clone(),
            etcd: self.standby.etcd.clone(),
            blobs,
            sweeper,
            random: self.standby.context.random.clone(),
            status: self.standby.status.clone(),
            formats: self.formats.clone(),
            peer_marks: PeerMarks::new(key, self.high_water.clone(), &self.standby.context),
        }
    }

    /// Reads the key of the marks, and begins the epoch.
    async fn take_over(
        &self,
        leadership: &Leadership,
        replica: &mut Replica,
    ) -> Result<(Writer, MarkKey), TakeoverError> {
        let Standby { etcd, context, .. } = &self.standby;
        let key = MarkKey::of(etcd, leadership).await?.ok_or(TakeoverError::Fenced)?;
        let high_water = self.high_water.mark();
        let writer = take_over(etcd, leadership, replica, context.clock.now(), &high_water).await?;
        Ok((writer.sealing(key.clone()), key))
    }

    /// Reports that this scheduler won the election and must not lead, or cannot.
    fn report_refusal(&self, error: &TakeoverError, leadership: &Leadership) {
        tracing::error!(%error, epoch = leadership.epoch.0, "won the election but cannot lead");
        if let TakeoverError::Lacks(_) = error {
            peer_mark::marks_ahead(&self.standby.context.metrics).inc();
            peer_mark::raise_behind(&self.standby.context.conditions, &error.to_string());
            tracing::error!(
                file = %self.high_water.path().display(),
                "bring back the newer state of etcd; or accept the loss of what came after the present one with \
                 `lepton restore --accept-loss`"
            );
        }
    }

    /// Takes over and leads until another does, or until the service stops.
    async fn lead(&self, leadership: Leadership, mut replica: Replica, stores: (Blobs, Sweeper), shutdown: &Shutdown) {
        let Standby {
            etcd, context, status, ..
        } = &self.standby;
        let taken = tokio::select! {
            // An etcd that went away right after the election must not keep the process.
            () = shutdown.triggered() => return leadership.resign().await,
            taken = self.take_over(&leadership, &mut replica) => taken,
        };
        let (writer, key) = match taken {
            Ok(taken) => taken,
            Err(error) => {
                self.report_refusal(&error, &leadership);
                leadership.resign().await;
                tokio::time::sleep(RETREAT).await;
                return;
            }
        };
        tracing::info!(
            epoch = leadership.epoch.0,
            segment = writer.position().segment,
            "leading"
        );
        status.send_modify(|status| {
            status.follow(&replica, writer.mark());
            status.role = Role::Leader;
        });
        let clock = JournalClock::start(context.clock, writer.position().time);
        let incarnation = leadership.incarnation.clone();
        let ctx = self.leader_context(stores, key);
        let leader = Leader::new(incarnation, replica.ledger, writer, clock, ctx);
        let ended = tokio::select! {
            ended = self.run_leader(leader, &leadership, shutdown) => ended,
            never = compact(etcd, self.config.journal.history) => match never {},
        };
        status.send_modify(SchedulerStatus::resign);
        match ended {
            Ok(()) => tracing::info!(epoch = leadership.epoch.0, "resigned"),
            Err(why) => tracing::warn!(epoch = leadership.epoch.0, %why, "leads no more"),
        }
        leadership.resign().await;
    }

    /// Runs the leader with its slot filled; signs that another leads make it prove its epoch.
    async fn run_leader(
        &self,
        leader: Leader,
        leadership: &Leadership,
        shutdown: &Shutdown,
    ) -> Result<(), LeadershipLost> {
        let (inbox, messages) = mpsc::channel(INBOX_MAX);
        let handle = LeaderHandle::new(inbox);
        self.slot.send_replace(Some(handle.clone()));
        let mut running = std::pin::pin!(leader.run(messages, shutdown.clone()));
        let ended = tokio::select! {
            ended = &mut running => ended,
            // It goes on until a write was refused: a hint proves nothing.
            () = verify_leadership(leadership, &handle) => running.await,
        };
        self.slot.send_replace(None);
        ended
    }
}

/// Sends [`Message::LeadershipSuspect`] while there is a sign that another leads; ends with the leader's task.
async fn verify_leadership(leadership: &Leadership, handle: &LeaderHandle) {
    leadership.lost().await;
    while handle.send(Message::LeadershipSuspect).await.is_ok() {
        tokio::time::sleep(SUSPECT_INTERVAL).await;
    }
}
