//! What this worker tells of itself. Leaves the stream to `mesh::fleet`.

use lepton_domain::ids::InstanceId;
use lepton_mesh::server::health::Readiness;
use lepton_mesh::stats_service::StatsSource;
use lepton_mesh::stats_service::latency::Seen;
use lepton_proto::fleet::v1::WatchStatsResponse;

use super::{Load, Stats};

/// This worker, as it tells of itself.
#[derive(Debug, Clone)]
pub struct Own {
    /// Its id.
    pub instance: InstanceId,
    /// The figures.
    pub stats: Stats,
    /// Whether an online call would succeed.
    pub readiness: Readiness,
}

impl StatsSource for Own {
    type Cursor = Seen;

    fn snapshot(&self, seen: &mut Seen) -> WatchStatsResponse {
        let Load {
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
