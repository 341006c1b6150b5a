//! Stands for election among the monitors.
//!
//! Promises: every monitor watches; the one that leads is who will act when there is something to do. Leaves the
//! election to the mesh.

use std::time::Duration;

use lepton_coordination::election::{Candidate, campaign};
use lepton_coordination::etcd::Etcd;
use lepton_core::context::Context;
use lepton_core::shutdown::Shutdown;
use lepton_domain::ids::{Epoch, InstanceId};
use tokio::sync::watch;
use tokio::time::timeout;

/// The pause after etcd refused the candidacy, which only an operator can cure.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// The epoch that this monitor leads; `None` while another does.
pub(crate) type Office = Option<Epoch>;

/// Stands again and again until `shutdown`, and then hands over.
pub(crate) async fn stand(
    etcd: Etcd,
    service: &'static str,
    instance: InstanceId,
    context: Context,
    office: watch::Sender<Office>,
    shutdown: Shutdown,
) {
    let candidate = Candidate {
        service: service.to_owned(),
        instance,
    };
    loop {
        let elected = tokio::select! {
            () = shutdown.triggered() => return,
            elected = campaign(&etcd, &candidate, &context) => elected,
        };
        let leadership = match elected {
            Ok(leadership) => leadership,
            Err(error) => {
                tracing::warn!(%error, "etcd refuses this candidacy");
                if timeout(REFUSED_PAUSE, shutdown.triggered()).await.is_ok() {
                    return;
                }
                continue;
            }
        };
        office.send_replace(Some(leadership.epoch));
        tokio::select! {
            () = leadership.lost() => {}
            () = shutdown.triggered() => return leadership.resign().await,
        }
        office.send_replace(None);
    }
}
