//! Readiness of the gateway.
//!
//! Promises: ready means that a request would succeed now. While etcd is away but a worker answers, a gateway that was
//! ready stays so: analyses go on, and submits are refused with a reason. Leaves showing it to `mesh::server`.

use lepton_core::shutdown::Shutdown;
use lepton_mesh::channel::pool::Pool;
use lepton_mesh::server::health::Readiness;
use tokio::sync::watch;

use crate::tasks::etcd_health::EtcdHealth;

/// Keeps the answer until the gateway leaves.
pub async fn keep(
    readiness: Readiness,
    workers: Pool,
    mut link: watch::Receiver<bool>,
    etcd_health: EtcdHealth,
    shutdown: Shutdown,
) {
    let mut had_leader = false;
    while !shutdown.is_triggered() {
        let linked = *link.borrow_and_update();
        had_leader |= linked;
        readiness.set(decide(
            workers.answering() > 0,
            linked,
            had_leader && etcd_health.is_away(),
        ));
        tokio::select! {
            () = workers.changed() => {}
            () = etcd_health.changed() => {}
            // The intake ends only with the gateway.
            changed = link.changed() => if changed.is_err() { break },
            () = shutdown.triggered() => break,
        }
    }
    readiness.set(false);
}

/// Returns whether a request would succeed. `excused`: the leader is missed only because etcd is away.
fn decide(worker: bool, leader: bool, excused: bool) -> bool {
    worker && (leader || excused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_needed_and_a_leader_or_an_excuse() {
        assert!(decide(true, true, false));
        assert!(decide(true, false, true));
        assert!(!decide(true, false, false));
        assert!(!decide(false, true, true));
    }
}
