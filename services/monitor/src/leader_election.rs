//! Leader election among the monitors.
//!
//! Promises: every monitor observes, and exactly the leader receives spans and will act. Leaves the election itself to
//! [`lepton_coordination::election`].

use std::time::Duration;

use lepton_coordination::election::{Candidate, campaign};
use lepton_coordination::etcd::Etcd;
use lepton_core::context::Context;
use lepton_core::shutdown::Shutdown;
use lepton_domain::ids::{Epoch, InstanceId};
use tokio::sync::watch;
use tokio::time::timeout;

/// Pause after etcd rejected the candidacy, which only an operator can repair.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// Epoch that this monitor leads; `None` while another does. Published by [`campaign_loop`].
pub(crate) type LeaderEpoch = Option<Epoch>;

/// Campaigns again and again until `shutdown`, and then resigns. The current [`LeaderEpoch`] goes to `held`.
pub(crate) async fn campaign_loop(
    etcd: Etcd,
    service: &'static str,
    instance: InstanceId,
    context: Context,
    held: watch::Sender<LeaderEpoch>,
    shutdown: Shutdown,
) {
    let candidate = Candidate {
        service: service.to_owned(),
        instance,
    };
    loop {
        let result = tokio::select! {
            () = shutdown.triggered() => return,
            result = campaign(&etcd, &candidate, &context) => result,
        };
        let leadership = match result {
            Ok(leadership) => leadership,
            Err(error) => {
                tracing::warn!(%error, "etcd rejects this candidacy");
                if timeout(REFUSED_PAUSE, shutdown.triggered()).await.is_ok() {
                    return;
                }
                continue;
            }
        };
        held.send_replace(Some(leadership.epoch));
        tokio::select! {
            () = leadership.lost() => {}
            () = shutdown.triggered() => return leadership.resign().await,
        }
        held.send_replace(None);
    }
}
