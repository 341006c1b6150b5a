//! Health check of etcd.
//!
//! Promises: one small read every few seconds, with no state beyond its last result. Leaves consequences to the
//! readers.

use std::time::Duration;

use lepton_coordination::etcd::Etcd;
use tokio::sync::watch;

/// Interval of the check.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Result of the last check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum EtcdHealth {
    /// Not checked yet.
    #[default]
    Unknown,
    /// Last check answered in time.
    Healthy,
    /// Last check failed or timed out.
    Unreachable,
}

/// Checks etcd every [`POLL_INTERVAL`], until it is aborted or the receivers are gone.
pub(crate) async fn poll(etcd: Etcd, results: watch::Sender<EtcdHealth>) {
    loop {
        let response = tokio::select! {
            () = results.closed() => return,
            // Every cluster has this key, and an absent one is an answer as well.
            response = etcd.get(etcd.keys().incarnation()) => response,
        };
        let health = if response.is_ok() {
            EtcdHealth::Healthy
        } else {
            EtcdHealth::Unreachable
        };
        results.send_if_modified(|before| std::mem::replace(before, health) != health);
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
