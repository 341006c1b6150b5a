//! What the monitor tells of itself.
//!
//! Promises: streams end in order at a shutdown, with a last message that says so. Leaves what others tell to `stats`.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use futures::{Stream, stream};
use http::{Request as HttpRequest, Response as HttpResponse};
use lepton_domain::ids::InstanceId;
use lepton_mesh::server::health::Readiness;
use lepton_mesh::shutdown::Shutdown;
use lepton_mesh::telemetry::process;
use lepton_proto::fleet::v1::fleet_service_server::FleetService;
use lepton_proto::fleet::v1::{WatchStatsRequest, WatchStatsResponse};
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use crate::candidacy::Office;

/// The interval for a caller that does not say, milliseconds.
const INTERVAL_MS: u32 = 1_000;
/// The shortest and the longest interval, milliseconds.
const INTERVAL_MS_MIN: u32 = 50;
const INTERVAL_MS_MAX: u32 = 60_000;

/// Requests of the monitor itself. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requests {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    in_flight: AtomicU32,
    finished: AtomicU64,
    failed: AtomicU64,
}

/// One request; counts as finished when it is dropped, as its caller may give up.
struct Counted(Arc<Counts>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.finished.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts a request, up to the head of its answer: streams would be in progress for ever.
pub(crate) async fn count(
    State(requests): State<Requests>,
    request: HttpRequest<Body>,
    next: Next,
) -> HttpResponse<Body> {
    requests.counts.in_flight.fetch_add(1, Ordering::Relaxed);
    let counted = Counted(requests.counts);
    let response = next.run(request).await;
    if response.status().is_server_error() {
        counted.0.failed.fetch_add(1, Ordering::Relaxed);
    }
    response
}

/// The monitor's own state and load.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    /// Its id.
    pub instance: InstanceId,
    /// Its service.
    pub service: &'static str,
    /// Whether it leads.
    pub office: watch::Receiver<Office>,
    /// Whether it is ready.
    pub readiness: Readiness,
    /// What it has answered.
    pub requests: Requests,
    /// When it stops.
    pub shutdown: Shutdown,
}

impl Own {
    fn stats(&self) -> WatchStatsResponse {
        let office = *self.office.borrow();
        let counts = &self.requests.counts;
        let usage = process::usage();
        WatchStatsResponse {
            instance: self.instance.to_string(),
            service: self.service.to_owned(),
            role: if office.is_some() { "leader" } else { "standby" }.to_owned(),
            draining: self.shutdown.is_triggered(),
            ready: self.readiness.is_ready() && !self.shutdown.is_triggered(),
            in_flight: counts.in_flight.load(Ordering::Relaxed),
            finished_total: counts.finished.load(Ordering::Relaxed),
            failed_total: counts.failed.load(Ordering::Relaxed),
            cpu_us: usage.cpu_us,
            resident_bytes: usage.resident_bytes,
            epoch: office.map_or(0, |epoch| epoch.0),
            ..WatchStatsResponse::default()
        }
    }

    /// One message at once, then one at each interval and a last one at the shutdown.
    fn told(self, interval: Duration) -> impl Stream<Item = WatchStatsResponse> + Send {
        stream::unfold((Some(self), true), move |(own, first)| async move {
            let own = own?;
            if !first {
                // An error is the interval passing.
                let _ = timeout(interval, own.shutdown.triggered()).await;
            }
            let stats = own.stats();
            let more = !stats.draining;
            Some((stats, (more.then_some(own), false)))
        })
    }
}

#[tonic::async_trait]
impl FleetService for Own {
    type WatchStatsStream = Pin<Box<dyn Stream<Item = Result<WatchStatsResponse, Status>> + Send>>;

    async fn watch_stats(
        &self,
        request: Request<WatchStatsRequest>,
    ) -> Result<Response<Self::WatchStatsStream>, Status> {
        let interval = match request.get_ref().interval_ms {
            0 => INTERVAL_MS,
            asked => asked.clamp(INTERVAL_MS_MIN, INTERVAL_MS_MAX),
        };
        let told = self.clone().told(Duration::from_millis(interval.into()));
        Ok(Response::new(Box::pin(futures::StreamExt::map(told, Ok))))
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    #[tokio::test]
    async fn the_last_message_of_a_stream_says_that_it_drains() {
        let shutdown = Shutdown::new();
        let (_sender, office) = watch::channel(None);
        let own = Own {
            instance: InstanceId::new("monitor-1"),
            service: "monitor",
            office,
            readiness: Readiness::new(),
            requests: Requests::default(),
            shutdown: shutdown.clone(),
        };
        let mut told = Box::pin(own.told(Duration::from_secs(3_600)));
        let first = told.next().await.unwrap();
        assert_eq!(
            (first.role.as_str(), first.draining, first.ready),
            ("standby", false, false)
        );
        shutdown.trigger();
        assert!(told.next().await.unwrap().draining);
        assert_eq!(told.next().await, None);
    }
}
