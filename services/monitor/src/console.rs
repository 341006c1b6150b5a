//! The console: web pages, rendered on the server.
//!
//! Promises: nothing is loaded from other hosts, and the content security policy forbids it; every page works without
//! scripts; all text of instances and tasks is escaped and bounded; an outage of a dependency is shown on the page.
//! Leaves the data to [`crate::view`], [`crate::otlp`] and the gateways.

mod cancel;
mod chart;
mod error;
mod format;
mod gateway;
mod incidents;
mod instances;
mod layout;
mod live;
mod models;
mod overview;
mod route;
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
use lepton_domain::reason::{ApiError, Reason};
use lepton_telemetry::trace::TRACEPARENT;
use maud::Markup;
use tokio::sync::{Semaphore, watch};

use crate::config;
use crate::etcd_health::EtcdHealth;
use crate::otlp::Traces;
use crate::view::MeshView;
use cancel::CsrfGuard;
use error::ConsoleError;
use gateway::GatewayClient;
use route::{Page, PageQuery};
use tasks::task_cache::TaskCache;

#[cfg(test)]
mod tests;

/// Content security policy: only files of this server; no inline script or style; no framing.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Headers of every response.
const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    // Our own forms must carry their origin, which distinguishes them from those of other sites.
    (REFERRER_POLICY, "same-origin"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // A new version of the program has new files under the same names.
    (CACHE_CONTROL, "no-cache"),
    (VARY, "accept"),
];

/// Trace context of every request of the console: not sampled. Open pages poll, and would fill the list of traces that
/// they show. The ids, which must not be zero, spell the sender in ASCII.
const UNTRACED: &str = "00-6c6570746f6e2d636f6e736f6c652e2e-636f6e736f6c652e-00";

/// Inputs of the console.
#[derive(Debug)]
pub(crate) struct ConsoleSources {
    /// The newest view of the mesh.
    pub view: watch::Receiver<Arc<MeshView>>,
    /// The last result of the etcd health check.
    pub etcd_health: watch::Receiver<EtcdHealth>,
    /// Traces stored by this monitor.
    pub traces: Traces,
    /// Network by which gateways are dialled, for tasks and models.
    pub net: Net,
}

/// State shared by all pages.
#[derive(Debug, Clone)]
struct Console {
    view: watch::Receiver<Arc<MeshView>>,
    etcd_health: watch::Receiver<EtcdHealth>,
    traces: Traces,
    gateways: GatewayClient,
    tasks: TaskCache,
    cluster: Arc<str>,
    etcd: Arc<[String]>,
    refresh: Duration,
    /// One permit for each page that [`live`] refreshes.
    live: Arc<Semaphore>,
    csrf: CsrfGuard,
    shutdown: Shutdown,
}

/// Title and body of a page, without the frame that [`layout::page`] adds.
#[derive(Debug)]
struct PageContent {
    title: String,
    body: Markup,
}

/// Routes of the console, and the responses to unknown paths and methods.
pub(crate) fn router(sources: ConsoleSources, config: &config::Config, shutdown: Shutdown) -> Router {
    let console = Console {
        view: sources.view,
        etcd_health: sources.etcd_health,
        traces: sources.traces,
        gateways: GatewayClient::new(sources.net),
        tasks: TaskCache::default(),
        cluster: config.common.cluster.as_str().into(),
        etcd: config.common.etcd.clone().into(),
        refresh: config.console.refresh,
        live: Arc::new(Semaphore::new(config.console.live_max)),
        csrf: CsrfGuard::new(),
        shutdown,
    };
    files(pages(Router::new()))
        .route("/healthz", get(async || "ok\n"))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(console)
}

fn pages(router: Router<Console>) -> Router<Console> {
    let fixed =
        |page: Page| get(move |State(console): State<Console>, headers: HeaderMap| show(console, headers, Ok(page)));
    router
        .route("/", fixed(Page::Overview))
        .route("/models", fixed(Page::Models))
        .route("/workers", fixed(Page::Workers))
        .route("/tasks", with_query(Page::tasks))
        .route("/incidents", with_query(Page::incidents))
        .route("/traces", with_query(Page::traces))
        .route("/tasks/{id}", with_id(Page::task))
        .route("/traces/{id}", with_id(Page::trace))
        .route("/tasks/{id}/cancel", post(cancel::handle))
}

/// Handler of a page with query parameters.
fn with_query(page: fn(PageQuery) -> Result<Page, ConsoleError>) -> MethodRouter<Console> {
    get(move |State(console): State<Console>, uri: Uri, headers: HeaderMap| {
        show(console, headers, PageQuery::parse(&uri).and_then(page))
    })
}

/// Handler of a page about one task or trace.
fn with_id(page: fn(String) -> Result<Page, ConsoleError>) -> MethodRouter<Console> {
    get(
        move |State(console): State<Console>, Path(id): Path<String>, headers: HeaderMap| {
            show(console, headers, page(id))
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

/// Responds with a whole page, or with the stream of its later states for the script that refreshes it.
async fn show(console: Console, headers: HeaderMap, page: Result<Page, ConsoleError>) -> Response {
    let page = match page {
        Ok(page) => page,
        Err(error) => return error_response(&console, &headers, None, &error.into()),
    };
    if accepts(&headers, "text/event-stream") {
        return live::follow(console, page);
    }
    match console.render(&page).await {
        Ok(content) => html(layout::page(&console, Some(&page), &content)),
        Err(api_error) => error_response(
            &console,
            &headers,
            Some(&page).filter(|_| is_transient(&api_error)),
            &api_error,
        ),
    }
}

/// Reports whether the page may exist a little later: outages end, and a trace arrives some seconds after its request.
fn is_transient(error: &ApiError) -> bool {
    is_retryable(error) || error.reason.http_status() >= 500 || error.reason == Reason::TraceNotFound
}

impl Console {
    /// Renders a page in its present state.
    async fn render(&self, page: &Page) -> Result<PageContent, ApiError> {
        let view = self.view.borrow().clone();
        match page {
            Page::Overview => Ok(overview::page(self, &view)),
            Page::Workers => Ok(workers::page(self, &view).await),
            Page::Incidents(filter) => Ok(incidents::page(&view, filter)),
            Page::Models => Ok(models::page(self, &view).await),
            Page::Tasks(filter) => tasks::page(self, &view, filter).await,
            Page::Task(id) => tasks::detail::page(self, &view, id).await,
            Page::Traces(filter) => Ok(traces::page(self, &view, *filter).await),
            Page::Trace(id) => traces::waterfall::page(self, &view, id).await,
        }
    }
}

/// Marks a request as not sampled, unless it carries a trace context of its own. Outermost layer, because the others
/// read the header.
pub(crate) async fn mark_unsampled(mut request: Request<Body>) -> Request<Body> {
    let mark_unsampled = HeaderValue::from_static(UNTRACED);
    request.headers_mut().entry(TRACEPARENT).or_insert(mark_unsampled);
    request
}

/// Renders an error, as a page for browsers and as [`rest`] does for programs. A page with an address is refreshed, so
/// that it recovers by itself.
fn error_response(console: &Console, headers: &HeaderMap, page: Option<&Page>, error: &ApiError) -> Response {
    if !accepts(headers, "text/html") {
        return (HEADERS, rest(error)).into_response();
    }
    let status = StatusCode::from_u16(error.reason.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, html(layout::page(console, page, &layout::error(error)))).into_response()
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

async fn not_found(State(console): State<Console>, request: Request<Body>) -> Response {
    let error = ConsoleError::UnknownPath(request.uri().path().to_owned());
    error_response(&console, request.headers(), None, &error.into())
}

async fn method_not_allowed(State(console): State<Console>, request: Request<Body>) -> Response {
    let error = ConsoleError::Method {
        path: request.uri().path().to_owned(),
        method: request.method().to_string(),
    };
    error_response(&console, request.headers(), None, &error.into())
}
