//! Reachability of etcd, so that calls that need the journal are refused at once while it cannot.
//!
//! Promises: short gaps, as an election inside etcd, do not count. Leaves whether the journal takes a write to the leader.

use std::future::Future;
use std::time::Duration;

use lepton_coordination::etcd::Etcd;
use lepton_core::clock::Clock;
use tokio::sync::watch;

/// Interval of the probes.
const PROBE_EVERY: Duration = Duration::from_millis(250);
/// Longest wait for an answer.
const PROBE_WAIT: Duration = Duration::from_secs(1);
/// Silence after which etcd counts as away: longer than an election among its members, which takes up to two
/// seconds when its leader is cut off, behind one probe of a member that is cut off, too.
const SILENCE_MAX: Duration = Duration::from_millis(3_500);

/// The present state. Clones share it.
#[derive(Debug, Clone)]
pub struct EtcdHealth {
    away: watch::Receiver<bool>,
}

impl EtcdHealth {
    /// Makes the handle and the task that probes etcd, which the caller runs.
    pub fn new(etcd: Etcd, clock: Clock) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, away) = watch::channel(false);
        (Self { away }, probe(etcd, clock, sender))
    }

    /// True while etcd is away.
    pub fn is_away(&self) -> bool {
        *self.away.borrow()
    }

    /// Completes when etcd is away.
    pub async fn away(&self) {
        let mut away = self.away.clone();
        if away.wait_for(|away| *away).await.is_err() {
            // The probe ends with the gateway; nobody learns anything more.
            std::future::pending::<()>().await;
        }
    }

    /// Completes when the state changes.
    pub async fn changed(&self) {
        let mut away = self.away.clone();
        let before = *away.borrow_and_update();
        if away.wait_for(|away| *away != before).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn probe(etcd: Etcd, clock: Clock, away: watch::Sender<bool>) {
    let mut heard = clock.monotonic();
    loop {
        if etcd.answers(PROBE_WAIT).await {
            heard = clock.monotonic();
        }
        let silent = clock.monotonic().saturating_sub(heard) >= SILENCE_MAX;
        away.send_if_modified(|now| std::mem::replace(now, silent) != silent);
        tokio::time::sleep(PROBE_EVERY).await;
    }
}
