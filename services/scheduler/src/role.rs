//! The role loop: follow -> lead -> resign, again and again.
//!
//! Promises: at any time this scheduler is a standby or a leader, never both; the seat in the office is filled only
//! while a leader runs whose epoch has committed its start.

use std::time::Duration;

use lepton_coordination::election::{FailureDetector, Leadership};
use lepton_coordination::etcd::incarnation;
use lepton_core::blob::Blobs;
use lepton_core::shutdown::Shutdown;
use lepton_domain::reason::{Fault, Reason};
use lepton_journal::Replica;
use lepton_journal::takeover::{TakeoverError, take_over};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::compaction::compact;
use crate::config::Config;
use crate::known::Known;
use crate::leader::message::Message;
use crate::leader::{Ended, JournalClock, Leader, Surroundings};
use crate::office::LeaderHandle;
use crate::progress::{Progress, Role};
use crate::standby::Standby;
use crate::sweeper::Sweeper;

/// Messages that wait for the leader's task.
const INBOX_MAX: usize = 16_384;
/// How long a scheduler that could not take over stays away from the election.
const RETREAT: Duration = Duration::from_secs(2);

/// What the role loop needs.
pub(crate) struct Cast {
    /// The standby.
    pub standby: Standby,
    /// The settings.
    pub config: Config,
    /// The furthest mark known.
    pub known: Known,
    /// The seat in the office.
    pub seat: watch::Sender<Option<LeaderHandle>>,
    /// The eye on the leader, armed while this standby could take over.
    pub detector: FailureDetector,
}

impl Cast {
    /// Plays until the service stops. Fails when the blob store is another mesh's.
    pub async fn play(self, shutdown: Shutdown) -> Result<(), Fault> {
        let (incarnation, blobs) = tokio::select! {
            () = shutdown.triggered() => return Ok(()),
            opened = self.open() => opened?,
        };
        let mut sweeping = JoinSet::new();
        let grace = self.config.tasks.blob_grace;
        let sweeper = Sweeper::start(blobs.clone(), self.standby.context.clock, grace, &mut sweeping);
        while !shutdown.is_triggered() {
            let (leadership, replica) = tokio::select! {
                () = shutdown.triggered() => return Ok(()),
                won = self.standby.wait(&incarnation, &self.detector) => won,
            };
            self.detector.arm(false);
            let world = self.surroundings(blobs.clone(), sweeper.clone());
            self.lead(leadership, replica, world, &shutdown).await;
        }
        Ok(())
    }

    /// Waits for etcd and for the blob store. Fails when the store belongs to another etcd.
    async fn open(&self) -> Result<(String, Blobs), Fault> {
        let Standby { etcd, context, .. } = &self.standby;
        loop {
            let opened = match incarnation(etcd, &context.random).await {
                Ok(known) => Blobs::open(&self.config.common.blob_store(), &known)
                    .await
                    .map(|blobs| (known, blobs)),
                Err(error) => Err(error.fault()),
            };
            match opened {
                Ok(opened) => return Ok(opened),
                Err(fault) if fault.reason == Reason::BlobStoreMismatch => return Err(fault),
                Err(fault) if fault.reason == Reason::JournalUnavailable => tracing::debug!(%fault, "etcd is away"),
                Err(fault) => tracing::error!(%fault, "the blob store cannot be used"),
            }
            tokio::time::sleep(RETREAT / 4).await;
        }
    }

    fn surroundings(&self, blobs: Blobs, sweeper: Sweeper) -> Surroundings {
        Surroundings {
            tuning: self.config.journal.clone(),
            policy: self.config.tasks.policy(),
            etcd: self.standby.etcd.clone(),
            blobs,
            sweeper,
            random: self.standby.context.random.clone(),
            progress: self.standby.progress.clone(),
            known: self.known.clone(),
        }
    }

    async fn lead(&self, leadership: Leadership, mut replica: Replica, world: Surroundings, shutdown: &Shutdown) {
        let Standby {
            etcd,
            context,
            progress,
            ..
        } = &self.standby;
        let known = self.known.mark();
        let taken = tokio::select! {
            // An etcd that went away right after the election must not keep the process.
            () = shutdown.triggered() => return leadership.resign().await,
            taken = take_over(etcd, &leadership, &mut replica, context.clock.now(), &known) => taken,
        };
        let writer = match taken {
            Ok(writer) => writer,
            Err(error) => {
                tracing::error!(%error, epoch = leadership.epoch.0, "won the election but cannot lead");
                if let TakeoverError::Lacks(_) = error {
                    tracing::error!(
                        file = %self.known.path().display(),
                        "bring back the newer state of etcd; or, to accept the loss, stop every service, remove this file of \
                         each scheduler, and start again"
                    );
                }
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
        progress.send_modify(|progress| {
            progress.follow(&replica, writer.mark());
            progress.role = Role::Leader;
        });
        let clock = JournalClock::start(context.clock, writer.position().time);
        let incarnation = leadership.incarnation.clone();
        let leader = Leader::new(incarnation, replica.ledger, writer, clock, world);
        let ended = tokio::select! {
            ended = self.preside(leader, &leadership, shutdown) => ended,
            never = compact(etcd, self.config.journal.history) => match never {},
        };
        progress.send_modify(Progress::resign);
        match ended {
            Ended::Shutdown => tracing::info!(epoch = leadership.epoch.0, "resigned"),
            Ended::Deposed(why) => tracing::warn!(epoch = leadership.epoch.0, why, "leads no more"),
        }
        leadership.resign().await;
    }

    /// Runs the leader with its seat filled; signs that another leads make it prove its epoch.
    async fn preside(&self, leader: Leader, leadership: &Leadership, shutdown: &Shutdown) -> Ended {
        let (inbox, messages) = mpsc::channel(INBOX_MAX);
        let handle = LeaderHandle::new(inbox);
        self.seat.send_replace(Some(handle.clone()));
        let mut running = std::pin::pin!(leader.run(messages, shutdown.clone()));
        let ended = tokio::select! {
            ended = &mut running => ended,
            // It goes on until a write was refused: a hint proves nothing.
            () = self.doubt(leadership, &handle) => running.await,
        };
        self.seat.send_replace(None);
        ended
    }

    /// Ends when the leader's task is gone; until then each hint of a loss is passed on.
    async fn doubt(&self, leadership: &Leadership, handle: &LeaderHandle) {
        leadership.lost().await;
        while handle.send(Message::Doubted).await.is_ok() {
            tokio::time::sleep(RETREAT).await;
        }
    }
}
