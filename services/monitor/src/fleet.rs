//! What the monitor tells of itself.
//!
//! Promises: what counts is what was asked of it. Leaves the stream to `mesh::fleet` and what others tell to `stats`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use http::{Request as HttpRequest, Response as HttpResponse};
use lepton_domain::ids::InstanceId;
use lepton_mesh::server::health::Readiness;
use lepton_mesh::stats_service::StatsSource;
use lepton_proto::fleet::v1::WatchStatsResponse;
use tokio::sync::watch;

use crate::candidacy::Office;

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
}

impl StatsSource for Own {
    type Cursor = ();

    fn snapshot(&self, (): &mut ()) -> WatchStatsResponse {
        let office = *self.office.borrow();
        let counts = &self.requests.counts;
        WatchStatsResponse {
            instance: self.instance.to_string(),
            service: self.service.to_owned(),
            role: if office.is_some() { "leader" } else { "standby" }.to_owned(),
            ready: self.readiness.is_ready(),
            in_flight: counts.in_flight.load(Ordering::Relaxed),
            finished_total: counts.finished.load(Ordering::Relaxed),
            failed_total: counts.failed.load(Ordering::Relaxed),
            epoch: office.map_or(0, |epoch| epoch.0),
            ..WatchStatsResponse::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use lepton_domain::ids::Epoch;

    use super::*;

    #[test]
    fn who_holds_the_office_leads() {
        let (sender, office) = watch::channel(None);
        let own = Own {
            instance: InstanceId::new("monitor-1"),
            service: "monitor",
            office,
            readiness: Readiness::new(),
            requests: Requests::default(),
        };
        let role = |own: &Own| (own.snapshot(&mut ()).role, own.snapshot(&mut ()).epoch);
        assert_eq!(role(&own), ("standby".to_owned(), 0));
        sender.send_replace(Some(Epoch(7)));
        assert_eq!(role(&own), ("leader".to_owned(), 7));
    }
}
