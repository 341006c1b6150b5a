//! The identity of a cluster, as etcd holds it: its incarnation, and what is made with it.
//!
//! Promises: an incarnation and the secret under which its marks are sealed are made in one transaction, so that no
//! backup of etcd has one without the other. A cluster of a former release, which has none, gets a secret from its next
//! leader. Leaves sealing to `lepton-journal`.

use etcd_client::{Compare, CompareOp, KeyValue, TxnOp};
use lepton_core::random::Random;
use lepton_core::secret::{SECRET_BYTES, secret};
use uuid::Uuid;

use super::{Etcd, EtcdError, first_key, found_keys};

/// The cluster's incarnation, a UUID that is made once, or again when a person accepts a loss. Epochs and marks compare
/// only within one incarnation.
pub async fn incarnation(etcd: &Etcd, random: &Random) -> Result<String, EtcdError> {
    let key = etcd.keys().incarnation();
    if let Some(found) = etcd.get(key).await? {
        return text(&found);
    }
    let fresh = fresh_incarnation(random);
    let absent = Compare::create_revision(key, CompareOp::Equal, 0);
    let then = vec![
        TxnOp::put(key, fresh.as_str(), None),
        TxnOp::put(etcd.keys().mark_key(), fresh_secret(), None),
    ];
    let answer = etcd.txn(vec![absent], then, vec![TxnOp::get(key, None)]).await?;
    match first_key(&answer) {
        Some(other) => text(&other),
        None => Ok(fresh),
    }
}

/// Identity of a cluster and of its blob store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The [`incarnation`].
    pub incarnation: String,
    /// Text of the blob store's marker; none before the store is marked, and in clusters of a former release.
    pub marker: Option<String>,
}

/// Reads the [`Identity`] at one revision; none where the cluster has no incarnation yet.
pub async fn read(etcd: &Etcd) -> Result<Option<Identity>, EtcdError> {
    let keys = etcd.keys();
    let gets = vec![
        TxnOp::get(keys.incarnation(), None),
        TxnOp::get(keys.blob_marker(), None),
    ];
    let answer = etcd.txn(Vec::new(), gets, Vec::new()).await?;
    let mut found = found_keys(&answer);
    let (incarnation, marker) = (found.next().flatten(), found.next().flatten());
    let Some(incarnation) = incarnation else {
        return Ok(None);
    };
    Ok(Some(Identity {
        incarnation: text(&incarnation)?,
        marker: marker.map(|kv| String::from_utf8_lossy(kv.value()).into_owned()),
    }))
}

/// The secret of this incarnation, made where there is none and the `fence` of a leader holds. `None` when the
/// incarnation has ended, or the leadership. For schedulers only.
pub async fn mark_secret(
    etcd: &Etcd,
    incarnation: &str,
    fence: Compare,
) -> Result<Option<[u8; SECRET_BYTES]>, EtcdError> {
    let (key, present) = (etcd.keys().mark_key(), etcd.keys().incarnation());
    let fresh = fresh_secret();
    let compares = vec![
        fence,
        Compare::value(present, CompareOp::Equal, incarnation),
        Compare::create_revision(key.as_str(), CompareOp::Equal, 0),
    ];
    // A transaction that may write, because a plain read may show the secret of an earlier incarnation.
    let put = vec![TxnOp::put(key.as_str(), fresh, None)];
    let gets = vec![TxnOp::get(present, None), TxnOp::get(key.as_str(), None)];
    let answer = etcd.txn(compares, put, gets).await?;
    if answer.succeeded() {
        return Ok(Some(fresh));
    }
    let mut found = found_keys(&answer);
    let (now, kept) = (found.next().flatten(), found.next().flatten());
    match kept.filter(|_| now.is_some_and(|now| now.value() == incarnation.as_bytes())) {
        Some(kept) => <[u8; SECRET_BYTES]>::try_from(kept.value())
            .map(Some)
            .map_err(|_| EtcdError::Malformed(key)),
        None => Ok(None),
    }
}

/// Returns a new incarnation, which is no cluster's yet.
pub fn fresh_incarnation(random: &Random) -> String {
    let bytes = random.next_u128().to_be_bytes();
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// Returns a new secret for marks, which is no cluster's yet.
pub fn fresh_secret() -> [u8; SECRET_BYTES] {
    secret().expect("every system that runs etcd has /dev/urandom")
}

/// Reads the value of the key of the incarnation.
pub fn text(incarnation: &KeyValue) -> Result<String, EtcdError> {
    let uuid = incarnation.value_str().ok().and_then(|text| Uuid::parse_str(text).ok());
    uuid.map(|uuid| uuid.to_string())
        .ok_or_else(|| EtcdError::Malformed(String::from_utf8_lossy(incarnation.key()).into()))
}
