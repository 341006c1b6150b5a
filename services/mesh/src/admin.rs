//! The listener for operators and probes, apart from the traffic.
//!
//! Promises: `/livez` answers while the process runs, `/readyz` while a request would succeed, `/metrics` with what happened.
//! Leaves protecting it to the address that it is bound to.

use std::io;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};

use crate::server::health::Readiness;
use crate::server::limits::Limits;
use crate::server::serve as serve_http;
use lepton_core::metrics::Metrics;
use lepton_core::net::Listener;
use lepton_core::shutdown::Shutdown;

/// OpenMetrics, as Prometheus asks for it.
const OPENMETRICS: &str = "application/openmetrics-text";
/// The format's name with its version.
const OPENMETRICS_1: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The format from before OpenMetrics, for whoever asks for nothing: `promtool check metrics` reads no other.
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";
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

async fn show_metrics(State(metrics): State<Metrics>, headers: HeaderMap) -> impl IntoResponse {
    let accepted = headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
    let (kind, text) = if accepted.is_some_and(|accepted| accepted.contains(OPENMETRICS)) {
        (OPENMETRICS_1, metrics.text())
    } else {
        (CLASSIC, metrics.classic_text())
    };
    match text {
        Ok(text) => ([(CONTENT_TYPE, kind)], text).into_response(),
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

    #[tokio::test]
    async fn metrics_are_in_the_format_that_is_asked_for() {
        let router = router(Readiness::new(), Metrics::new());
        for (accepted, kind, name) in [
            ("*/*", CLASSIC, "lepton_process_cpu_seconds_total"),
            (
                "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
                OPENMETRICS_1,
                "lepton_process_cpu_seconds",
            ),
        ] {
            let request = Request::get("/metrics").header(ACCEPT, accepted);
            let response = router
                .clone()
                .oneshot(request.body(Body::empty()).unwrap())
                .await
                .unwrap();
            assert_eq!(response.headers()[CONTENT_TYPE], kind);
            let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
            let text = String::from_utf8(body.to_vec()).unwrap();
            assert!(text.contains(&format!("# TYPE {name} counter\n")), "{text}");
            assert!(text.contains(&format!("# HELP {name} ")), "{text}");
        }
    }
}
