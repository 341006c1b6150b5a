//! The stack of the gateway; [`apply`] names its layers, from the outside in.
//!
//! Promises: what a request is - its dialect, its target, its caller - is found once and carried among its extensions, so that
//! no layer asks again. Leaves connections to [`lepton_mesh::server`], the layers that all services have in common to
//! [`lepton_mesh::server::stack`], and answering to [`super::router`].

use std::sync::Arc;

use axum::body::Body;
use axum::middleware::from_fn_with_state;
use http::Request;
use lepton_core::context::Context;
use lepton_mesh::server::stack::{self, StackConfig};
use lepton_telemetry::trace;
use tower::ServiceBuilder;
use tower_http::request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};

use super::cors::{self, CorsPolicy};
use super::dialect::Dialect;
use super::router::Router;
use crate::request::caller::Callers;

/// The beginnings of paths whose requests have no span: probes are too many, the stream of our figures is too long, and looking
/// at traces makes none.
const UNTRACED: &[&str] = &[
    "/healthz",
    "/livez",
    "/readyz",
    "/api/v1/traces",
    "/lepton.fleet.v1.FleetService/",
];

/// The id of a request that came without one: that of its trace, by which it can be found.
#[derive(Debug, Clone, Copy)]
struct TraceAsRequestId;

impl MakeRequestId for TraceAsRequestId {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        trace::trace_id()?.parse().ok().map(RequestId::new)
    }
}

/// The whole application.
pub fn apply(context: &Context, router: Router, callers: Callers) -> axum::Router {
    let policy = CorsPolicy::new(&router.config.allowed_origins);
    let router = Arc::new(router);
    let (resolving, answering) = (Arc::clone(&router), router);
    let inner = ServiceBuilder::new()
        // An id in every answer, the caller's own where it sent one: what a user quotes is what operators search for.
        .layer(SetRequestIdLayer::x_request_id(TraceAsRequestId))
        .layer(PropagateRequestIdLayer::x_request_id())
        // A page of another site is refused before anything is done for it.
        .layer(from_fn_with_state(policy, cors::apply))
        // Whose data it may touch, and what it may do there: known before the request is dispatched.
        .map_request(move |request| callers.note(request));
    let app = axum::Router::new()
        .fallback(move |request: Request<Body>| Arc::clone(&answering).answer(request))
        .layer(inner);
    let config = StackConfig {
        form_of: Dialect::error_form,
        untraced: UNTRACED,
        ..StackConfig::new("gateway", context.clock, context.metrics.clone())
    };
    // Spans, metrics, the form of errors, panics, deadlines: as around every service.
    let app = stack::apply(app, config);
    // Outermost, so that a request is named by its route and answered in its dialect, whichever layer ends it.
    let resolve = ServiceBuilder::new().map_request(move |request| resolving.resolve(request));
    axum::Router::new().fallback_service(resolve.service(app))
}
