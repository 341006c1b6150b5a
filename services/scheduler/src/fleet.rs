//! What this scheduler tells of its load. Leaves the stream to `mesh::fleet`.

use lepton_domain::ids::InstanceId;
use lepton_journal::LEADER_SERVICE;
use lepton_mesh::server::health::Readiness;
use lepton_mesh::stats_service::StatsSource;
use lepton_proto::fleet::v1::WatchStatsResponse;
use tokio::sync::watch;

use crate::progress::Progress;

/// This scheduler, as it tells of itself.
#[derive(Clone)]
pub(crate) struct Own {
    /// Its id.
    pub instance: InstanceId,
    /// Whether it leads, or follows a leader that it can name.
    pub readiness: Readiness,
    /// How far its ledger is.
    pub progress: watch::Receiver<Progress>,
}

impl StatsSource for Own {
    type Cursor = ();

    fn snapshot(&self, (): &mut ()) -> WatchStatsResponse {
        let progress = self.progress.borrow();
        WatchStatsResponse {
            instance: self.instance.to_string(),
            service: LEADER_SERVICE.to_owned(),
            role: progress.role.name().to_owned(),
            ready: self.readiness.is_ready(),
            in_flight: progress.running,
            queued: progress.queued,
            finished_total: progress.finished_total,
            epoch: progress.epoch.0,
            seq: progress.mark.seq,
            state_digest: progress.digest(),
            segment: progress.mark.segment,
            ..WatchStatsResponse::default()
        }
    }
}
