//! The console: pages for people, made on the server.
//!
//! Promises: nothing is loaded from elsewhere and the policy forbids it; every page works without scripts; whatever an
//! instance or a task says of itself is escaped and bounded; what cannot be reached is said, on a page. Leaves what
//! there is to see to `view`, to the traces that are kept, and to the gateways.

mod cancel;
mod chart;
mod figure;
mod gateway;
mod incidents;
mod instances;
mod layout;
mod live;
mod models;
mod overview;
mod place;
mod tasks;
mod topology;
mod traces;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use lepton_core::error::{is_retryable, rest};
use lepton_core::net::Net;
use lepton_core::shutdown::Shutdown;
use lepton_domain::reason::{Fault, Reason};
use lepton_telemetry::trace::TRACEPARENT;
use maud::Markup;
use tokio::sync::{Semaphore, watch};

use crate::config;
use crate::otlp::Traces;
use crate::store::Store;
use crate::view::View;
use cancel::Guard;
use gateway::Gateways;
use place::{Asked, Place};
use tasks::known::Known;

#[cfg(test)]
mod tests;

/// Nothing but files of this server; no script or style inside a page; no page inside another's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The headers of every answer.
const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    // The origin must go along with our own forms, or they could not be told from those of other sites.
    (REFERRER_POLICY, "same-origin"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // A new version of the program has new files under the same names.
    (CACHE_CONTROL, "no-cache"),
    (VARY, "accept"),
];

/// The trace context of everything that a console does: not sampled. Open pages ask again and again, and would fill the
/// very list of traces that they show. The ids, which must not be zero, spell who it is.
const UNTRACED: &str = "00-6c6570746f6e2d636f6e736f6c652e2e-636f6e736f6c652e-00";

/// What the pages show, and where it comes from.
#[derive(Debug)]
pub(crate) struct Sources {
    /// The mesh, as it was found.
    pub view: watch::Receiver<Arc<View>>,
    /// Whether etcd answers.
    pub store: watch::Receiver<Store>,
    /// The traces that this monitor keeps.
    pub traces: Traces,
    /// How gateways are reached, for tasks and models.
    pub net: Net,
}

/// What the pages are made of.
#[derive(Debug, Clone)]
struct Console {
    view: watch::Receiver<Arc<View>>,
    store: watch::Receiver<Store>,
    traces: Traces,
    gateways: Gateways,
    known: Known,
    cluster: Arc<str>,
    etcd: Arc<[String]>,
    refresh: Duration,
    /// One permit for each page that is kept up to date.
    live: Arc<Semaphore>,
    guard: Guard,
    shutdown: Shutdown,
}

/// A page before its frame is around it.
#[derive(Debug)]
struct Page {
    title: String,
    body: Markup,
}

/// The routes of the console, and the answer to every path that is unknown.
pub(crate) fn router(sources: Sources, config: &config::Config, shutdown: Shutdown) -> Router {
    let console = Console {
        view: sources.view,
        store: sources.store,
        traces: sources.traces,
        gateways: Gateways::new(sources.net),
        known: Known::default(),
        cluster: config.common.cluster.as_str().into(),
        etcd: config.common.etcd.clone().into(),
        refresh: config.console.refresh,
        live: Arc::new(Semaphore::new(config.console.live_max)),
        guard: Guard::new(),
        shutdown,
    };
    files(pages(Router::new()))
        .route("/healthz", get(async || "ok\n"))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .with_state(console)
}

fn pages(router: Router<Console>) -> Router<Console> {
    let fixed =
        |place: Place| get(move |State(console): State<Console>, headers: HeaderMap| show(console, headers, Ok(place)));
    router
        .route("/", fixed(Place::Overview))
        .route("/models", fixed(Place::Models))
        .route("/workers", fixed(Place::Workers))
        .route("/tasks", asking(Place::tasks))
        .route("/incidents", asking(Place::incidents))
        .route("/traces", asking(Place::traces))
        .route("/tasks/{id}", naming(Place::task))
        .route("/traces/{id}", naming(Place::trace))
        .route("/tasks/{id}/cancel", post(cancel::take))
}

/// A page that takes questions in its address.
fn asking(place: fn(Asked) -> Result<Place, Fault>) -> MethodRouter<Console> {
    get(move |State(console): State<Console>, uri: Uri, headers: HeaderMap| {
        show(console, headers, Asked::of(&uri).and_then(place))
    })
}

/// A page of one thing.
fn naming(place: fn(String) -> Result<Place, Fault>) -> MethodRouter<Console> {
    get(
        move |State(console): State<Console>, Path(id): Path<String>, headers: HeaderMap| {
            show(console, headers, place(id))
        },
    )
}

fn files(router: Router<Console>) -> Router<Console> {
    router
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
}

/// A page, whole for a reader who opens it and as a stream of its later states for the script that keeps it up to date.
async fn show(console: Console, headers: HeaderMap, place: Result<Place, Fault>) -> Response {
    let place = match place {
        Ok(place) => place,
        Err(fault) => return refuse(&console, &headers, None, &fault),
    };
    if accepts(&headers, "text/event-stream") {
        return live::follow(console, place);
    }
    match console.page(&place).await {
        Ok(page) => html(layout::page(&console, Some(&place), &page)),
        Err(fault) => refuse(&console, &headers, Some(&place).filter(|_| may_pass(&fault)), &fault),
    }
}

/// Whether the page may be there a little later: what does not answer comes back, and a trace arrives some seconds after
/// its request.
fn may_pass(fault: &Fault) -> bool {
    is_retryable(fault) || fault.reason.http_status() >= 500 || fault.reason == Reason::TraceNotFound
}

impl Console {
    /// The page of a place as it is now.
    async fn page(&self, place: &Place) -> Result<Page, Fault> {
        let view = self.view.borrow().clone();
        match place {
            Place::Overview => Ok(overview::page(self, &view)),
            Place::Workers => Ok(workers::page(self, &view).await),
            Place::Incidents(wanted) => Ok(incidents::page(&view, wanted)),
            Place::Models => Ok(models::page(self, &view).await),
            Place::Tasks(wanted) => tasks::page(self, &view, wanted).await,
            Place::Task(id) => tasks::detail::page(self, &view, id).await,
            Place::Traces(wanted) => Ok(traces::page(self, &view, *wanted).await),
            Place::Trace(id) => traces::waterfall::page(self, &view, id).await,
        }
    }
}

/// Marks a reader's request as one that is not traced, unless the reader has decided it. To be laid around everything
/// else.
pub(crate) async fn untraced(mut request: Request<Body>) -> Request<Body> {
    let untraced = HeaderValue::from_static(UNTRACED);
    request.headers_mut().entry(TRACEPARENT).or_insert(untraced);
    request
}

/// A fault as a page for people, and as everywhere else for programs. With a place the page is kept up to date, so that
/// it becomes the one that was asked for.
fn refuse(console: &Console, headers: &HeaderMap, place: Option<&Place>, fault: &Fault) -> Response {
    if !accepts(headers, "text/html") {
        return (HEADERS, rest(fault)).into_response();
    }
    let status = StatusCode::from_u16(fault.reason.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, html(layout::page(console, place, &layout::fault(fault)))).into_response()
}

fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains(kind))
}

fn html(markup: Markup) -> Response {
    file("text/html; charset=utf-8", markup.0)
}

fn file(kind: &'static str, content: impl IntoResponse) -> Response {
    (HEADERS, [(CONTENT_TYPE, kind)], content).into_response()
}

async fn unknown(State(console): State<Console>, request: Request<Body>) -> Response {
    let path = request.uri().path();
    let message = format!("{path} is no page here; the console is at /");
    refuse(
        &console,
        request.headers(),
        None,
        &Fault::new(Reason::RouteNotFound, message),
    )
}

async fn wrong_method(State(console): State<Console>, request: Request<Body>) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let message = format!("{path} does not take {method}; pages are read with GET");
    refuse(
        &console,
        request.headers(),
        None,
        &Fault::new(Reason::MethodNotAllowed, message),
    )
}
