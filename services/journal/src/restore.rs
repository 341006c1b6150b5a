//! The way on after a loss: a new incarnation for an etcd that is behind what was seen of it.
//!
//! Promises: written by one transaction, and only while nobody leads, so that no leader of the old incarnation writes
//! after it; marks and epochs of the old incarnation say nothing from then on. Services that run go on by themselves.
//! The blob store keeps its marker, because the payloads of the tasks that are left lie there, unless a new store is to
//! take its place. Leaves asking the person to the command line.

use std::time::Duration;

use etcd_client::{Compare, CompareOp, TxnOp};
use lepton_coordination::election::{self, Leader};
use lepton_coordination::etcd::identity::{self, Identity};
use lepton_coordination::etcd::{Etcd, EtcdError, first_key};
use lepton_core::random::Random;

use crate::LEADER_SERVICE;

/// Time for the key of a leader that is gone, or of a candidate that may not lead, to become free.
const LEADER_WAIT: Duration = Duration::from_secs(10);
/// Pause between two tries. A candidate that may not lead leaves the key for longer.
const PAUSE: Duration = Duration::from_millis(50);

/// The blob store after a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobStore {
    /// The one that there was.
    Kept,
    /// Another, without a marker yet: the old one is lost too.
    New,
}

/// A change of the incarnation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The incarnation that has ended.
    pub before: String,
    /// The incarnation from now on.
    pub now: String,
}

/// Cause for which nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// etcd holds no mesh of this name.
    #[error("etcd holds no mesh of this name")]
    NoMesh,
    /// A scheduler leads, so that nothing is lost.
    #[error("{} leads in epoch {}: nothing was lost that anybody knows of, and nothing was changed", .0.instance, .0.epoch.0)]
    Led(Leader),
    /// The incarnation has changed meanwhile.
    #[error("somebody else has written the incarnation {0} meanwhile")]
    Overtaken(String),
    /// etcd does not answer, or refuses.
    #[error(transparent)]
    Etcd(#[from] EtcdError),
}

/// Writes a new incarnation with a new key for marks. Waits a short time while the leader's key is held.
pub async fn restore(etcd: &Etcd, random: &Random, store: BlobStore) -> Result<Restored, RestoreError> {
    let change = Change::prepare(etcd, random, store).await?;
    let attempts = async {
        loop {
            match change.attempt(etcd).await {
                Ok(false) | Err(RestoreError::Etcd(EtcdError::Unavailable(_))) => tokio::time::sleep(PAUSE).await,
                Ok(true) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    };
    match tokio::time::timeout(LEADER_WAIT, attempts).await {
        Ok(decided) => decided?,
        Err(_elapsed) => match election::current(etcd, LEADER_SERVICE).await? {
            Some(leader) => return Err(RestoreError::Led(leader)),
            None => return Err(EtcdError::Unavailable("the leader's key is never free for long".to_owned()).into()),
        },
    }
    Ok(change.restored)
}

/// A transaction that is repeated as it is until it is decided.
struct Change {
    restored: Restored,
    then: Vec<TxnOp>,
}

impl Change {
    async fn prepare(etcd: &Etcd, random: &Random, store: BlobStore) -> Result<Self, RestoreError> {
        let keys = etcd.keys();
        let stored = identity::read(etcd).await?.ok_or(RestoreError::NoMesh)?;
        let Identity {
            incarnation: before,
            marker,
        } = stored;
        let now = identity::fresh_incarnation(random);
        let marker = match (store, marker) {
            (BlobStore::New, _) => TxnOp::delete(keys.blob_marker(), None),
            (BlobStore::Kept, Some(marker)) => TxnOp::put(keys.blob_marker(), marker, None),
            // A store of a former release is marked with the incarnation, and this is not kept anywhere else.
            (BlobStore::Kept, None) => TxnOp::put(keys.blob_marker(), before.as_str(), None),
        };
        let then = vec![
            TxnOp::put(keys.incarnation(), now.as_str(), None),
            TxnOp::put(keys.mark_key(), identity::fresh_secret(), None),
            marker,
        ];
        let restored = Restored { before, now };
        Ok(Self { restored, then })
    }

    /// Tries once; false while the leader's key is held.
    async fn attempt(&self, etcd: &Etcd) -> Result<bool, RestoreError> {
        let keys = etcd.keys();
        let compares = vec![
            Compare::create_revision(keys.leader(LEADER_SERVICE), CompareOp::Equal, 0),
            Compare::value(keys.incarnation(), CompareOp::Equal, self.restored.before.as_str()),
        ];
        let look = vec![TxnOp::get(keys.incarnation(), None)];
        let answer = etcd.txn(compares, self.then.clone(), look).await?;
        if answer.succeeded() {
            return Ok(true);
        }
        let found = first_key(&answer).ok_or(RestoreError::NoMesh)?;
        match identity::text(&found)? {
            // An attempt whose outcome was not known.
            now if now == self.restored.now => Ok(true),
            now if now != self.restored.before => Err(RestoreError::Overtaken(now)),
            _ => Ok(false),
        }
    }
}
