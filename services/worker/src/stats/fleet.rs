//! The worker's `FleetService`: its load as a stream.
//!
//! Promises: the first message comes at once; the stream tells of the drain and ends when the server is about to.

use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use lepton_domain::ids::InstanceId;
use lepton_domain::reason::Fault;
use lepton_mesh::error::status;
use lepton_mesh::server::health::Readiness;
use lepton_mesh::shutdown::Shutdown;
use lepton_mesh::telemetry::process::usage;
use lepton_proto::fleet::v1::fleet_service_server::FleetService;
use lepton_proto::fleet::v1::{WatchStatsRequest, WatchStatsResponse};
use tonic::{Request, Response, Status};

use super::{Load, Stats};

/// Intervals that may be asked for, in milliseconds.
const INTERVAL_MS: std::ops::RangeInclusive<u32> = 50..=60_000;
/// The interval where none is asked for.
const INTERVAL_MS_DEFAULT: u32 = 1_000;

/// The service.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// Whose load it is.
    pub instance: InstanceId,
    /// The figures.
    pub stats: Stats,
    /// Whether an online call would succeed.
    pub readiness: Readiness,
    /// Triggered when nothing new is taken.
    pub draining: Shutdown,
    /// Triggered when the server closes.
    pub closing: Shutdown,
}

impl Fleet {
    /// The state now, and how many latencies have been told of.
    fn state(&self, told: u64) -> (WatchStatsResponse, u64) {
        let Load {
            in_flight,
            queued,
            slots,
            finished_total,
            failed_total,
        } = self.stats.load();
        let (latency_p50_us, told) = self.stats.shared.latencies.median_since(told);
        let process = usage();
        let state = WatchStatsResponse {
            instance: self.instance.to_string(),
            service: "worker".to_owned(),
            draining: self.draining.is_triggered(),
            ready: self.readiness.is_ready(),
            in_flight,
            queued,
            slots,
            finished_total,
            failed_total,
            latency_p50_us,
            cpu_us: process.cpu_us,
            resident_bytes: process.resident_bytes,
            ..Default::default()
        };
        (state, told)
    }
}

#[tonic::async_trait]
impl FleetService for Fleet {
    type WatchStatsStream = Pin<Box<dyn Stream<Item = Result<WatchStatsResponse, Status>> + Send>>;

    async fn watch_stats(
        &self,
        request: Request<WatchStatsRequest>,
    ) -> Result<Response<Self::WatchStatsStream>, Status> {
        let interval_ms = match request.into_inner().interval_ms {
            0 => INTERVAL_MS_DEFAULT,
            asked if INTERVAL_MS.contains(&asked) => asked,
            asked => {
                let fault = Fault::field("interval_ms", format!("{asked} is not 0 or 50 to 60,000"));
                return Err(status(&fault));
            }
        };
        let interval = Duration::from_millis(interval_ms.into());
        // Only what ends from now on belongs to this watcher's first interval.
        let (_, told) = self.stats.shared.latencies.median_since(u64::MAX);
        let stream = futures::stream::unfold(
            (self.clone(), told, Duration::ZERO),
            move |(fleet, told, pause)| async move {
                let was_draining = fleet.draining.is_triggered();
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    // Pickers must not send more calls for the rest of an interval.
                    () = fleet.draining.triggered(), if !was_draining => {}
                    () = fleet.closing.triggered() => return None,
                }
                let (state, told) = fleet.state(told);
                Some((Ok(state), (fleet, told, interval)))
            },
        );
        Ok(Response::new(Box::pin(stream)))
    }
}
