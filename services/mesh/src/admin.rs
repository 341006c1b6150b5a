//! The listener for operators and probes, apart from the traffic.
//!
//! Promises: `/livez` says that the process runs, `/readyz` that a request would succeed now, `/metrics` what happened.
//! Leaves protecting it to the address that it is bound to.

use std::io;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;

use crate::server::health::Readiness;
use crate::server::limits::Limits;
use crate::server::serve as serve_http;
use lepton_core::metrics::Metrics;
use lepton_core::net::Listener;
use lepton_core::shutdown::Shutdown;

/// OpenMetrics, as Prometheus asks for it.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Probes and scrapes: more connections than this are a mistake.
const CONNECTIONS_MAX: usize = 256;

/// Serves the three pages until `shutdown`.
pub async fn serve(listener: Listener, readiness: Readiness, metrics: Metrics, shutdown: Shutdown) -> io::Result<()> {
    let limits = Limits {
        connections_max: CONNECTIONS_MAX,
        ..Limits::default()
    };
    serve_http(listener, router(readiness, metrics), limits, shutdown).await
}

/// The three pages, for a server that has them beside others.
pub fn router(readiness: Readiness, metrics: Metrics) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .with_state(readiness)
        .route("/metrics", get(show_metrics).with_state(metrics))
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if readiness.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

async fn show_metrics(State(metrics): State<Metrics>) -> impl IntoResponse {
    match metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        // Only a collector of ours can fail here.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn page(router: &Router, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_shows_and_liveness_stays() {
        let readiness = Readiness::new();
        let router = router(readiness.clone(), Metrics::new());
        assert_eq!(page(&router, "/readyz").await.0, 503);
        readiness.set(true);
        assert_eq!(page(&router, "/readyz").await.0, 200);
        readiness.set(false);
        assert_eq!(
            (page(&router, "/readyz").await.0, page(&router, "/livez").await.0),
            (503, 200)
        );
        let (status, text) = page(&router, "/metrics").await;
        assert!(status == 200 && text.ends_with("# EOF\n"), "{text}");
    }
}
