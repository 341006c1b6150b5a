//! The console: pages for people, made on the server.
//!
//! Promises: nothing is loaded from elsewhere and the policy forbids it; every page works without scripts; whatever an
//! instance says of itself is escaped. Leaves what there is to see to `view`.

mod figure;
mod layout;
mod overview;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::Request;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use lepton_domain::reason::{Fault, Reason};
use lepton_mesh::error::rest;
use maud::Markup;
use tokio::sync::watch;

use crate::view::View;

#[cfg(test)]
mod tests;

/// Nothing but files of this server; no script or style inside a page; no page inside another's frame.
const POLICY: &str = "default-src 'none'; connect-src 'self'; img-src 'self'; script-src 'self'; style-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The headers of every answer.
const HEADERS: [(HeaderName, &str); 4] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // A new version of the program has new files under the same names.
    (CACHE_CONTROL, "no-cache"),
];

/// What the pages are made of.
#[derive(Debug, Clone)]
struct Console {
    view: watch::Receiver<Arc<View>>,
    cluster: Arc<str>,
    refresh: Duration,
}

/// The routes of the console, and the answer to every path that is unknown.
pub(crate) fn router(view: watch::Receiver<Arc<View>>, cluster: &str, refresh: Duration) -> Router {
    let console = Console {
        view,
        cluster: cluster.into(),
        refresh,
    };
    Router::new()
        .route("/", get(page))
        .route("/overview", get(fragment))
        .route(
            "/console.css",
            get(async || file("text/css; charset=utf-8", include_str!("console/console.css"))),
        )
        .route(
            "/console.js",
            get(async || file("text/javascript; charset=utf-8", include_str!("console/console.js"))),
        )
        .route(
            "/mark.svg",
            get(async || file("image/svg+xml", include_str!("console/mark.svg"))),
        )
        .route("/healthz", get(async || "ok\n"))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .with_state(console)
}

/// The whole page.
async fn page(State(console): State<Console>) -> Response {
    let view = console.view.borrow().clone();
    html(&layout::page(
        &console.cluster,
        console.refresh,
        overview::title(&view),
        &overview::body(&view),
    ))
}

/// The part of the page that changes.
async fn fragment(State(console): State<Console>) -> Response {
    let view = console.view.borrow().clone();
    html(&overview::body(&view))
}

fn html(markup: &Markup) -> Response {
    file("text/html; charset=utf-8", markup.0.clone())
}

fn file(kind: &'static str, content: impl IntoResponse) -> Response {
    (HEADERS, [(CONTENT_TYPE, kind)], content).into_response()
}

async fn unknown(request: Request<Body>) -> Response {
    let path = request.uri().path();
    let fault = Fault::new(
        Reason::RouteNotFound,
        format!("{path} is no page here; the console is at /"),
    );
    (HEADERS, rest(&fault)).into_response()
}

async fn wrong_method(request: Request<Body>) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let fault = Fault::new(
        Reason::MethodNotAllowed,
        format!("{path} does not take {method}; use GET"),
    );
    (HEADERS, rest(&fault)).into_response()
}
