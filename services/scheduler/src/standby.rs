//! A standby: applies what the leader appends, stays warm, and stands for election once it has caught up.
//!
//! Promises: a replica that cannot be read, or that does not match its digests, never stands for election; it is
//! thrown away and built anew. Leaves winning to etcd and the first append to `takeover`.

use std::time::Duration;

use lepton_coordination::election::{self, Candidate, FailureDetector, Leadership, campaign};
use lepton_coordination::etcd::change_notifier::ChangeNotifier;
use lepton_coordination::etcd::{self, Etcd};
use lepton_core::backoff::Backoff;
use lepton_core::context::Context;
use lepton_journal::Replica;
use lepton_journal::follow::{FollowError, catch_up};
use lepton_proto::journal::v1::Mark;
use tokio::sync::watch;

use crate::status::SchedulerStatus;

/// First pause before a replica that was thrown away, or an etcd that does not answer, is tried again.
const RETRY_MIN: Duration = Duration::from_millis(125);
/// Longest such pause.
const RETRY_MAX: Duration = Duration::from_millis(500);

/// End of following.
enum Followed {
    /// This candidate leads.
    Won(Leadership),
    /// The cluster has a new incarnation.
    Renewed(String),
}

/// A scheduler that does not lead.
#[derive(Clone)]
pub(crate) struct Standby {
    /// Net, clock and randomness.
    pub context: Context,
    /// The store.
    pub etcd: Etcd,
    /// Its identity in the [election](campaign).
    pub candidate: Candidate,
    /// Publishes the position; see [`SchedulerStatus`].
    pub status: watch::Sender<SchedulerStatus>,
}

impl Standby {
    /// Follows until this candidate has won, and returns the replica as far as it has come by then. `incarnation` is
    /// replaced when a person has accepted a loss.
    pub async fn wait(&self, incarnation: &mut String, detector: &FailureDetector) -> (Leadership, Replica) {
        let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
        loop {
            let mut replica = Replica::new();
            match self.follow(incarnation, &mut replica, detector).await {
                Ok(Followed::Won(leadership)) => {
                    incarnation.clone_from(&leadership.incarnation);
                    return (leadership, replica);
                }
                Ok(Followed::Renewed(now)) => {
                    detector.arm(false);
                    tracing::info!(
                        before = incarnation,
                        now,
                        "a loss was accepted; the journal is followed anew"
                    );
                    *incarnation = now;
                }
                Err(error) => {
                    detector.arm(false);
                    tracing::error!(%error, "the journal cannot be followed; the replica is built anew");
                    tokio::time::sleep(backoff.delay()).await;
                }
            }
        }
    }

    async fn follow(
        &self,
        incarnation: &str,
        replica: &mut Replica,
        detector: &FailureDetector,
    ) -> Result<Followed, FollowError> {
        let mut notifier = ChangeNotifier::start(&self.etcd, self.etcd.keys().segment_prefix());
        let mut restores = ChangeNotifier::start(&self.etcd, self.etcd.keys().incarnation());
        self.catch_up_first(incarnation, replica).await?;
        // Only a candidate that could take over may depose the leader.
        detector.arm(true);
        let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
        let mut campaign = std::pin::pin!(campaign(&self.etcd, &self.candidate, &self.context));
        loop {
            tokio::select! {
                won = &mut campaign => match won {
                    Ok(leadership) => return Ok(Followed::Won(leadership)),
                    Err(error) => {
                        tracing::debug!(%error, "the campaign was interrupted; it begins again");
                        tokio::time::sleep(backoff.delay()).await;
                        campaign.set(election::campaign(&self.etcd, &self.candidate, &self.context));
                    }
                },
                () = notifier.changed() => self.advance(incarnation, replica).await?,
                () = restores.changed() => if let Some(now) = self.renewed(incarnation).await {
                    return Ok(Followed::Renewed(now));
                }
            }
        }
    }

    /// The present incarnation, if it is another. An etcd that is away has none to show.
    async fn renewed(&self, incarnation: &str) -> Option<String> {
        let now = etcd::incarnation(&self.etcd, &self.context.random).await.ok()?;
        (now != incarnation).then_some(now)
    }

    /// Catches up for the first time, waiting for etcd as long as it takes.
    async fn catch_up_first(&self, incarnation: &str, replica: &mut Replica) -> Result<(), FollowError> {
        let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
        while !self.step(incarnation, replica).await? {
            tokio::time::sleep(backoff.delay()).await;
        }
        Ok(())
    }

    async fn advance(&self, incarnation: &str, replica: &mut Replica) -> Result<(), FollowError> {
        // An etcd that is away is no fault of the replica: the next change tries again.
        self.step(incarnation, replica).await.map(|_caught_up| ())
    }

    /// Catches up; false when etcd did not answer.
    async fn step(&self, incarnation: &str, replica: &mut Replica) -> Result<bool, FollowError> {
        match catch_up(&self.etcd, replica).await {
            Ok(found) => {
                let mark = mark(incarnation, replica, found.store_revision);
                self.status.send_modify(|status| status.follow(replica, mark));
                Ok(true)
            }
            Err(error) if error.is_transient() => {
                tracing::debug!(%error, "the journal does not answer");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// Returns the [`Mark`] of a replica.
pub(crate) fn mark(incarnation: &str, replica: &Replica, revision: i64) -> Mark {
    Mark {
        incarnation: incarnation.to_owned(),
        revision: u64::try_from(revision).unwrap_or(0),
        segment: replica.position.segment,
        seq: replica.position.seq.0,
        segment_hash: replica.position.hash.to_vec().into(),
        // Peers take marks from leaders only.
        mac: Default::default(),
    }
}
