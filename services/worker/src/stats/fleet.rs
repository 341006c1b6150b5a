//! Statistics of this worker for the fleet's streams. Leaves the streams to [`lepton_mesh::stats_service`].

use lepton_domain::ids::InstanceId;
use lepton_mesh::server::health::Readiness;
use lepton_mesh::stats_service::StatsSource;
use lepton_mesh::stats_service::latency::Seen;
use lepton_proto::fleet::v1::WatchStatsResponse;

use super::{LoadSnapshot, Stats};

/// Source of this worker's statistics.
#[derive(Debug, Clone)]
pub struct WorkerStats {
    /// Id of the worker.
    pub instance: InstanceId,
    /// Counters of the worker.
    pub stats: Stats,
    /// Readiness for online calls.
    pub readiness: Readiness,
}

impl StatsSource for WorkerStats {
    type Cursor = Seen;

    fn snapshot(&self, seen: &mut Seen) -> WatchStatsResponse {
        let LoadSnapshot {
            in_flight,
            queued,
            slots,
            finished_total,
            failed_total,
        } = self.stats.load();
        let latency = self.stats.shared.latencies.look(seen);
        WatchStatsResponse {
            instance: self.instance.to_string(),
            service: "worker".to_owned(),
            ready: self.readiness.is_ready(),
            in_flight,
            queued,
            slots,
            finished_total,
            failed_total,
            latency_p50_us: latency.p50_us,
            latency_p99_us: latency.p99_us,
            ..Default::default()
        }
    }
}
