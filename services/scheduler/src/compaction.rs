//! Compaction of etcd's history, by the leader.
//!
//! Promises: revisions older than the history to keep go, in steps of a tenth of it, without waiting for any watcher:
//! one that is behind reads everything anew. Never touches a key's value. An etcd that does not answer is tried again
//! at the next step.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use lepton_coordination::etcd::{Etcd, EtcdError};

/// Steps in which the history moves on.
const STEPS: u32 = 10;
/// Shortest step, however short the history is.
const STEP_MIN: Duration = Duration::from_secs(1);

/// Compacts for as long as it is polled.
pub(crate) async fn compact(etcd: &Etcd, history: Duration) -> Infallible {
    let mut revisions = VecDeque::new();
    loop {
        tokio::time::sleep((history / STEPS).max(STEP_MIN)).await;
        if let Err(error) = step(etcd, &mut revisions).await {
            tracing::debug!(%error, "etcd's history stays for now");
        }
    }
}

/// Records the store's present revision, and compacts to the one of a history ago.
async fn step(etcd: &Etcd, revisions: &mut VecDeque<i64>) -> Result<(), EtcdError> {
    let (_leader, revision) = etcd.get_at(etcd.keys().leader(lepton_journal::LEADER_SERVICE)).await?;
    revisions.push_back(revision);
    if revisions.len() > STEPS as usize
        && let Some(oldest) = revisions.pop_front()
    {
        etcd.compact(oldest).await?;
    }
    Ok(())
}
