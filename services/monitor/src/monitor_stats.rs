//! Stats that the monitor reports about itself.
//!
//! Promises: only requests to the monitor count, not the streams of its observers. Leaves the stream to
//! [`lepton_mesh::stats_service`] and the stats of others to [`crate::stats`]. A layer of our own, as `tower_http`'s
//! `InFlightRequestsLayer` counts no ends and no failures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use http::{Request as HttpRequest, Response as HttpResponse};
use lepton_domain::ids::InstanceId;
use lepton_mesh::server::health::Readiness;
use lepton_mesh::server::refusal::is_failure;
use lepton_mesh::stats_service::StatsSource;
use lepton_proto::fleet::v1::WatchStatsResponse;
use tokio::sync::watch;

use crate::leader_election::LeaderEpoch;

/// Request counters of the monitor. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestCounter {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    in_flight: AtomicU32,
    finished: AtomicU64,
    failed: AtomicU64,
}

/// Request in flight; counted as finished when dropped, as its caller may hang up.
struct InFlight(Arc<Counts>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0
            .failed
            .fetch_add(std::thread::panicking().into(), Ordering::Relaxed);
        self.0.finished.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts a request up to its response head, as streams would be in flight forever.
pub(crate) async fn count(
    State(requests): State<RequestCounter>,
    request: HttpRequest<Body>,
    next: Next,
) -> HttpResponse<Body> {
    requests.counts.in_flight.fetch_add(1, Ordering::Relaxed);
    let in_flight = InFlight(requests.counts);
    let response = next.run(request).await;
    if is_failure(&response) {
        in_flight.0.failed.fetch_add(1, Ordering::Relaxed);
    }
    response
}

/// State and load of the monitor itself, as a [`StatsSource`].
#[derive(Debug, Clone)]
pub(crate) struct MonitorStats {
    /// Instance id.
    pub instance: InstanceId,
    /// Service name.
    pub service: &'static str,
    /// Epoch while it leads.
    pub epoch: watch::Receiver<LeaderEpoch>,
    /// Readiness of the service.
    pub readiness: Readiness,
    /// Request counters.
    pub requests: RequestCounter,
}

impl StatsSource for MonitorStats {
    type Cursor = ();

    fn snapshot(&self, (): &mut ()) -> WatchStatsResponse {
        let epoch = *self.epoch.borrow();
        let counts = &self.requests.counts;
        WatchStatsResponse {
            instance: self.instance.to_string(),
            service: self.service.to_owned(),
            role: if epoch.is_some() { "leader" } else { "standby" }.to_owned(),
            ready: self.readiness.is_ready(),
            in_flight: counts.in_flight.load(Ordering::Relaxed),
            finished_total: counts.finished.load(Ordering::Relaxed),
            failed_total: counts.failed.load(Ordering::Relaxed),
            epoch: epoch.map_or(0, |epoch| epoch.0),
            ..WatchStatsResponse::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use http::StatusCode;
    use lepton_domain::ids::Epoch;
    use tower::ServiceExt as _;

    use super::*;

    #[test]
    fn the_holder_of_an_epoch_leads() {
        let (sender, epoch) = watch::channel(None);
        let stats = MonitorStats {
            instance: InstanceId::new("monitor-1"),
            service: "monitor",
            epoch,
            readiness: Readiness::new(),
            requests: RequestCounter::default(),
        };
        let role = |stats: &MonitorStats| (stats.snapshot(&mut ()).role, stats.snapshot(&mut ()).epoch);
        assert_eq!(role(&stats), ("standby".to_owned(), 0));
        sender.send_replace(Some(Epoch(7)));
        assert_eq!(role(&stats), ("leader".to_owned(), 7));
    }

    #[tokio::test]
    async fn failures_count_whatever_the_protocol() {
        let requests = RequestCounter::default();
        let router = Router::new()
            .route("/page", get(async || StatusCode::BAD_GATEWAY))
            .route("/call", get(async || [("grpc-status", "13")]))
            .route("/refused", get(async || [("grpc-status", "5")]))
            .layer(from_fn_with_state(requests.clone(), count));
        for path in ["/page", "/call", "/refused", "/none"] {
            let request = HttpRequest::get(path).body(Body::empty()).expect("a request");
            let Ok(_) = router.clone().oneshot(request).await;
        }
        let counted = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &requests.counts;
        assert_eq!((counted(&counts.finished), counted(&counts.failed)), (4, 2));
    }
}
