//! Leader election.
//!
//! Promises: one key per service, created only where there is none, under a lease made for this candidacy alone; its
//! create revision, with the incarnation, is the epoch. A leadership is a claim that ends at any moment without
//! notice: only writes that compare the epoch are safe. Leaves the journal's own proof to `journal`.

mod candidacy;
mod election_timeout;
mod evict;
mod failure_detector;
mod leader;

use std::future::Future;
use std::time::Duration;

use etcd_client::{Compare, CompareOp, TxnOp};
use lepton_domain::ids::{Epoch, InstanceId};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::etcd::change_notifier::ChangeNotifier;
use crate::etcd::lease::Lease;
use crate::etcd::{Etcd, EtcdError};
use candidacy::Candidacy;
pub use evict::evict;
pub use failure_detector::FailureDetector;
pub use leader::{Leader, LeaderWatch, current};
use lepton_core::context::Context;

/// A leader that is frozen or cut off is replaced after this time.
pub const LEASE_TTL: Duration = Duration::from_secs(3);

/// Delay after a call that etcd did not answer.
const PAUSE: Duration = Duration::from_millis(100);

/// An instance that stands for election; see [`campaign`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The service, such as `scheduler`.
    pub service: String,
    /// This instance.
    pub instance: InstanceId,
}

/// The leader key held by this instance, returned by [`campaign`]. Dropping it gives the lease up in the background.
#[derive(Debug)]
pub struct Leadership {
    /// The create revision of the key.
    pub epoch: Epoch,
    /// The incarnation that the epoch belongs to.
    pub incarnation: String,
    /// Distinguishes this candidacy from any other of the same instance.
    pub nonce: String,
    /// The instance that leads: this one.
    pub instance: InstanceId,
    key: String,
    etcd: Etcd,
    lease: Lease,
    lost: watch::Receiver<bool>,
    _watcher: JoinSet<()>,
}

/// Waits until this instance leads. While etcd is away it goes on waiting; an error means that etcd refuses, which
/// waiting does not cure. Dropping the future ends the candidacy.
pub async fn campaign(etcd: &Etcd, candidate: &Candidate, context: &Context) -> Result<Leadership, EtcdError> {
    let mut notifier = ChangeNotifier::start(etcd, etcd.keys().leader(&candidate.service));
    loop {
        let outcome = match Candidacy::open(etcd, candidate, context).await {
            Ok(candidacy) => candidacy.campaign(&mut notifier).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(Some(leadership)) => return Ok(leadership),
            Ok(None) | Err(EtcdError::LeaseGone) => {}
            Err(error @ (EtcdError::Refused(..) | EtcdError::Malformed(_))) => return Err(error),
            Err(error) => {
                tracing::debug!(%error, service = candidate.service, "cannot stand for election");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

impl Leadership {
    fn new(candidacy: Candidacy, epoch: Epoch) -> Self {
        let Candidacy {
            etcd,
            key,
            nonce,
            instance,
            incarnation,
            lease,
            ..
        } = candidacy;
        let (sender, lost) = watch::channel(false);
        let mut watcher = JoinSet::new();
        watcher.spawn(watch_key(etcd.clone(), key.clone(), epoch, lease.lost(), sender));
        Self {
            epoch,
            incarnation,
            nonce,
            instance,
            key,
            etcd,
            lease,
            lost,
            _watcher: watcher,
        }
    }

    /// Completes when the leadership seems lost: a hint to stop early. That it has not completed proves nothing.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut lost = self.lost.clone();
        async move {
            // The watcher is gone when the leadership was resigned or dropped: lost, too.
            let _ = lost.wait_for(|lost| *lost).await;
        }
    }

    /// The key whose create revision every fenced write compares, as [`Leadership::fence`] does.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// True in a transaction as long as this leadership stands.
    pub fn fence(&self) -> Compare {
        held(&self.key, self.epoch)
    }

    /// Hands over: deletes the key and the lease, so that the next candidate leads at once.
    pub async fn resign(self) {
        let delete = vec![TxnOp::delete(self.key.as_str(), None)];
        if let Err(error) = self.etcd.txn(vec![self.fence()], delete, Vec::new()).await {
            tracing::debug!(%error, "key not deleted; it goes with its lease");
        }
        self.lease.revoke().await;
    }
}

/// Compares the leader key with an epoch.
fn held(key: &str, epoch: Epoch) -> Compare {
    Compare::create_revision(key, CompareOp::Equal, revision(epoch))
}

fn revision(epoch: Epoch) -> i64 {
    i64::try_from(epoch.0).unwrap_or(i64::MAX)
}

fn epoch(create_revision: i64) -> Epoch {
    Epoch(u64::try_from(create_revision).unwrap_or(0))
}

async fn watch_key(
    etcd: Etcd,
    key: String,
    mine: Epoch,
    lease_lost: impl Future<Output = ()>,
    lost: watch::Sender<bool>,
) {
    let gone = async {
        let mut notifier = ChangeNotifier::start(&etcd, key.as_str());
        loop {
            notifier.changed().await;
            let Ok((found, read_at)) = etcd.get_at(key.as_str()).await else {
                continue;
            };
            let holds = found.is_some_and(|kv| epoch(kv.create_revision()) == mine);
            // A read from before the election shows the key as absent; it says nothing.
            if !holds && read_at >= revision(mine) {
                return;
            }
        }
    };
    tokio::select! {
        () = lease_lost => {}
        () = gone => {}
    }
    lost.send_replace(true);
}
