//! Stats of this scheduler. Leaves the stream to [`StatsService`](lepton_mesh::stats_service::StatsService).

use lepton_domain::ids::InstanceId;
use lepton_journal::LEADER_SERVICE;
use lepton_mesh::server::health::Readiness;
use lepton_mesh::stats_service::StatsSource;
use lepton_proto::fleet::v1::WatchStatsResponse;
use tokio::sync::watch;

use crate::status::SchedulerStatus;

/// Source of the stats for a [`StatsService`](lepton_mesh::stats_service::StatsService).
#[derive(Clone)]
pub(crate) struct SchedulerStats {
    /// Id of this scheduler.
    pub instance: InstanceId,
    /// Ready while it leads, or follows a leader that it can name.
    pub readiness: Readiness,
    /// Its position and load; see [`SchedulerStatus`].
    pub status: watch::Receiver<SchedulerStatus>,
}

impl StatsSource for SchedulerStats {
    type Cursor = ();

    fn snapshot(&self, (): &mut ()) -> WatchStatsResponse {
        let status = self.status.borrow();
        WatchStatsResponse {
            instance: self.instance.to_string(),
            service: LEADER_SERVICE.to_owned(),
            role: status.role.name().to_owned(),
            ready: self.readiness.is_ready(),
            in_flight: status.running,
            queued: status.queued,
            finished_total: status.finished_total,
            epoch: status.epoch.0,
            seq: status.mark.seq,
            state_digest: status.digest(),
            segment: status.mark.segment,
            ..WatchStatsResponse::default()
        }
    }
}
