//! Taking the key from a leader that seems dead, without waiting for its lease.
//!
//! Promises: at most one leader of a service is deposed in 10 s, whoever suspects it, and only the one that was
//! suspected. Deposing a leader that lives costs time, never data, because its writes are fenced.

use std::time::Duration;

use etcd_client::{Compare, CompareOp, PutOptions, TxnOp};
use lepton_domain::ids::Epoch;

use super::held;
use crate::etcd::lease::{grant, revoke};
use crate::etcd::{Etcd, EtcdError};

/// Time after an eviction during which no other leader of the service is evicted.
pub(super) const GUARD_TTL: Duration = Duration::from_secs(10);

/// Deletes the leader key of this epoch, see [`Leadership`](super::Leadership). `false` when it is gone already, or
/// when the guard of the last deposition still stands. After an unknown outcome do not repeat it: look at the key.
pub async fn evict(etcd: &Etcd, service: &str, epoch: Epoch) -> Result<bool, EtcdError> {
    let (leader, guard) = (etcd.keys().leader(service), etcd.keys().guard(service));
    let lease = grant(etcd, GUARD_TTL).await?;
    let compares = vec![
        held(&leader, epoch),
        Compare::create_revision(guard.as_str(), CompareOp::Equal, 0),
    ];
    let claim = TxnOp::put(guard, epoch.0.to_string(), Some(PutOptions::new().with_lease(lease)));
    let answer = etcd
        .txn(compares, vec![TxnOp::delete(leader, None), claim], Vec::new())
        .await?;
    if !answer.succeeded() {
        // Nobody uses the lease. Should this fail, it expires.
        let _ = revoke(etcd, lease).await;
    }
    Ok(answer.succeeded())
}
