//! What this scheduler tells of its load.

use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use lepton_domain::ids::InstanceId;
use lepton_mesh::journal::LEADER_SERVICE;
use lepton_mesh::server::health::Readiness;
use lepton_mesh::shutdown::Shutdown;
use lepton_mesh::telemetry::process;
use lepton_proto::fleet::v1::fleet_service_server::FleetService;
use lepton_proto::fleet::v1::{WatchStatsRequest, WatchStatsResponse};
use tokio::sync::watch;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::IntervalStream;
use tonic::{Request, Response, Status};

use crate::progress::Progress;

/// Milliseconds between two messages when the caller does not say.
const INTERVAL_MS_DEFAULT: u32 = 1_000;
/// The shortest and the longest interval, milliseconds.
const INTERVAL_MS: (u32, u32) = (50, 60_000);

/// The service.
#[derive(Clone)]
pub(crate) struct Fleet {
    instance: InstanceId,
    readiness: Readiness,
    progress: watch::Receiver<Progress>,
    closing: Shutdown,
}

impl Fleet {
    /// Tells of this instance until `closing`.
    pub fn new(
        instance: InstanceId,
        readiness: Readiness,
        progress: watch::Receiver<Progress>,
        closing: Shutdown,
    ) -> Self {
        Self {
            instance,
            readiness,
            progress,
            closing,
        }
    }

    fn stats(&self) -> WatchStatsResponse {
        let progress = self.progress.borrow();
        let usage = process::usage();
        WatchStatsResponse {
            instance: self.instance.to_string(),
            service: LEADER_SERVICE.to_owned(),
            role: progress.role.name().to_owned(),
            draining: self.closing.is_triggered(),
            ready: self.readiness.is_ready(),
            in_flight: progress.running,
            queued: progress.queued,
            finished_total: progress.mark.seq,
            cpu_us: usage.cpu_us,
            resident_bytes: usage.resident_bytes,
            epoch: progress.epoch.0,
            seq: progress.mark.seq,
            state_digest: progress.digest(),
            segment: progress.mark.segment,
            ..WatchStatsResponse::default()
        }
    }
}

#[tonic::async_trait]
impl FleetService for Fleet {
    type WatchStatsStream = Pin<Box<dyn Stream<Item = Result<WatchStatsResponse, Status>> + Send>>;

    async fn watch_stats(
        &self,
        request: Request<WatchStatsRequest>,
    ) -> Result<Response<Self::WatchStatsStream>, Status> {
        let wanted = match request.into_inner().interval_ms {
            0 => INTERVAL_MS_DEFAULT,
            wanted => wanted.clamp(INTERVAL_MS.0, INTERVAL_MS.1),
        };
        let ticks = IntervalStream::new(tokio::time::interval(Duration::from_millis(u64::from(wanted))));
        let own = self.clone();
        // The last message says that this instance leaves: whoever watches must not take it for a loss.
        let closing = self.closing.clone();
        let live = futures::StreamExt::take_until(ticks, async move { closing.triggered().await });
        let last = futures::stream::once(std::future::ready(()));
        let moments = live.map(|_tick| ()).chain(last);
        Ok(Response::new(Box::pin(moments.map(move |()| Ok(own.stats())))))
    }
}
