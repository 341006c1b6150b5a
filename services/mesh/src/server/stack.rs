//! The stack around every request of a server; [`apply`] names its layers, from the outside in.
//!
//! Promises: the same for every service, and no product path or method in it: what differs is in [`StackConfig`]. Leaves limits
//! of the message size to the services and callers to the gateway.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::{Request, Response};
use lepton_core::clock::Clock;
use lepton_core::metrics::Metrics;
use tonic::server::NamedService;
use tower::{Service, ServiceBuilder, ServiceExt as _};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::validate_request::ValidateRequestHeaderLayer;
use tracing::Instrument;

use super::observe::Observer;
use super::refusal::{FormOf, ProtocolErrors, form_by_content_type, map_status};
use super::timeout::TimeoutLayer;
use super::{catch_panic, host};

pub use super::observe::{Route, report_status};

/// Properties of the service around which [`apply`] lays the layers.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// The service's name, a label of its metrics.
    pub service: &'static str,
    /// The clock of durations and of every [`Deadline`](super::deadline::Deadline).
    pub clock: Clock,
    /// The registry of the service's metrics.
    pub metrics: Metrics,
    /// The form in which a caller reads errors, an [`ErrorForm`](super::refusal::ErrorForm).
    pub form_of: FormOf,
    /// The beginnings of paths whose requests have no span: probes, which are too many, and streams that stay open.
    pub untraced: &'static [&'static str],
}

impl StackConfig {
    /// The stack of a service that speaks gRPC and plain HTTP, and whose requests all have spans.
    pub fn new(service: &'static str, clock: Clock, metrics: Metrics) -> Self {
        Self {
            service,
            clock,
            metrics,
            form_of: form_by_content_type,
            untraced: &[],
        }
    }
}

/// Adds a gRPC service to a router.
pub fn mount<S>(router: Router, service: S) -> Router
where
    S: Service<Request<Body>, Error = Infallible, Response: IntoResponse, Future: Send>,
    S: NamedService + Clone + Send + Sync + 'static,
{
    router.route_service(&format!("/{}/{{*method}}", S::NAME), service)
}

/// Adds a gRPC service of a standard protocol, whose errors have no details of ours.
pub fn mount_protocol<S>(router: Router, service: S) -> Router
where
    S: Service<Request<Body>, Error = Infallible, Response: IntoResponse, Future: Send>,
    S: NamedService + Clone + Send + Sync + 'static,
{
    let marked = service.map_response(|response| {
        let mut response = response.into_response();
        response.extensions_mut().insert(ProtocolErrors);
        response
    });
    router.route_service(&format!("/{}/{{*method}}", S::NAME), marked)
}

/// Lays the layers around all routes of `router`, its fallback included. Add routes before.
pub fn apply(router: Router, config: StackConfig) -> Router {
    let StackConfig {
        service,
        clock,
        metrics,
        form_of,
        untraced,
    } = config;
    let observer = Arc::new(Observer::new(service, clock, &metrics, untraced));
    let layers = ServiceBuilder::new()
        // Credentials are never printed, whoever prints the headers of a request.
        .layer(SetSensitiveRequestHeadersLayer::new([
            AUTHORIZATION,
            PROXY_AUTHORIZATION,
            COOKIE,
        ]))
        // A span in the caller's trace and the metrics of the call, however it ends: outside of all that can end it.
        .layer(from_fn_with_state(observer, observe))
        // Refusals of all that is below, and errors that a library made, get the form that the caller reads.
        .layer(from_fn_with_state(form_of, map_status))
        // A panic below is INTERNAL for its caller and nothing for the others.
        .layer(catch_panic::layer())
        // A proxy in front may have read another host than we would.
        .layer(ValidateRequestHeaderLayer::custom(host::validate))
        // What the caller no longer waits for is not begun, and ends when the caller gives up.
        .layer(TimeoutLayer::new(clock));
    router.layer(layers)
}

async fn observe(State(observer): State<Arc<Observer>>, request: Request<Body>, next: Next) -> Response<Body> {
    let observed = observer.begin(&request);
    let span = observed.span().clone();
    let response = next.run(request).instrument(span).await;
    observed.until_the_end_of(response)
}
