//! What becomes of each request: a span and metrics.
//!
//! Promises: counted once and measured to the end of the answer's body, also when the caller hangs up; spans and metrics
//! are those of OpenTelemetry's conventions for RPC and HTTP. Leaves the trace to `telemetry` and the scrape to `admin`.
//!
//! See <https://opentelemetry.io/docs/specs/semconv/rpc/grpc/> and <https://opentelemetry.io/docs/specs/semconv/http/>.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::MatchedPath;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Request, Response};
use http_body::{Frame, SizeHint};
use lepton_domain::reason::Code;
use tracing::{Span, field, info_span};

use crate::clock::Clock;
use crate::telemetry::metrics::{CALL_SECONDS, Counters, Gauge, Histograms, Labels, Metrics};
use crate::telemetry::trace::TRACEPARENT;

/// The name of the route that answered, among a response's extensions: for routers that match by themselves.
#[derive(Clone, Debug)]
pub struct Route(pub Arc<str>);

/// The service whose pages show traces.
const VIEWER: &str = "monitor";

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Call {
    grpc: bool,
    method: Method,
    path: Arc<str>,
    matched: Option<MatchedPath>,
}

impl Call {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let kind = request.headers().get(CONTENT_TYPE).map(|value| value.as_bytes());
        Self {
            grpc: kind.is_some_and(|kind| kind.starts_with(b"application/grpc")),
            method: request.method().clone(),
            path: request.uri().path().into(),
            matched: request.extensions().get::<MatchedPath>().cloned(),
        }
    }

    pub(super) fn is_grpc(&self) -> bool {
        self.grpc
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// A span in the caller's trace. Probes, reflection and the streams that services keep among themselves have none:
    /// they are too many, too dull or too long for one. Looking at traces makes none.
    fn span(&self, headers: &HeaderMap) -> Span {
        let parent = headers
            .get(TRACEPARENT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        if self.is_dull() {
            return Span::none();
        }
        if !self.grpc {
            return self.http_span(parent);
        }
        info_span!(
            "request",
            traceparent = parent,
            otel.name = self.rpc_method(),
            otel.kind = "server",
            otel.status_code = field::Empty,
            rpc.system.name = "grpc",
            rpc.method = self.rpc_method(),
            rpc.response.status_code = field::Empty,
            "error.type" = field::Empty,
        )
    }

    fn http_span(&self, parent: &str) -> Span {
        let span = info_span!(
            "request",
            traceparent = parent,
            otel.name = self.method.as_str(),
            otel.kind = "server",
            otel.status_code = field::Empty,
            http.request.method = self.method.as_str(),
            http.route = field::Empty,
            url.path = &*self.path,
            url.scheme = "http",
            http.response.status_code = field::Empty,
            "error.type" = field::Empty,
        );
        if let Some(matched) = &self.matched {
            self.name_route(&span, matched.as_str());
        }
        span
    }

    /// The convention's name of an HTTP span: the method and the route, and never a path, of which there are too many.
    fn name_route(&self, span: &Span, route: &str) {
        // Routes of ours begin with their method.
        let path = route.split_once(' ').map_or(route, |(_, path)| path);
        span.record("otel.name", format!("{} {path}", self.method));
        span.record("http.route", path);
    }

    /// `package.Service/Method`.
    fn rpc_method(&self) -> &str {
        self.path.strip_prefix('/').unwrap_or(&self.path)
    }

    fn is_dull(&self) -> bool {
        const PROBES: [&str; 3] = ["/healthz", "/livez", "/readyz"];
        const KEPT_OPEN: [&str; 4] = ["WatchStats", "Intake", "OpenSession", "GetPosition"];
        if !self.grpc {
            return PROBES.contains(&&*self.path) || self.path.starts_with("/api/v1/traces");
        }
        let method = self.path.rsplit('/').next().unwrap_or_default();
        let ours = self.path.starts_with("/lepton.");
        self.path.starts_with("/grpc.") || (ours && KEPT_OPEN.contains(&method))
    }

    /// The label of the metrics: never text that a caller made up.
    fn label(&self, code: &str, route: Option<&Route>) -> String {
        match (&self.matched, route) {
            (_, Some(route)) => route.0.to_string(),
            (Some(_), None) if self.grpc && code != Code::Unimplemented.name() => self.path.to_string(),
            (Some(matched), None) => matched.as_str().to_owned(),
            (None, None) => "unmatched".to_owned(),
        }
    }
}

impl Call {
    /// The labels that the conventions give a duration, beside the service.
    fn conventional(&self, service: &str, method: &str, code: &str, failed: bool) -> Labels {
        let mut labels = vec![("service", service.to_owned())];
        if self.grpc {
            labels.push(("rpc_system_name", "grpc".to_owned()));
            // The label of a path that nobody serves must not be the caller's text.
            labels.push(("rpc_method", method.trim_start_matches('/').to_owned()));
            labels.push(("rpc_response_status_code", code.to_owned()));
        } else {
            let route = method.split_once(' ').map_or(method, |(_, path)| path);
            labels.push(("http_request_method", known(&self.method).to_owned()));
            labels.push(("http_route", route.to_owned()));
            labels.push(("http_response_status_code", code.to_owned()));
        }
        if failed {
            labels.push(("error_type", code.to_owned()));
        }
        labels
    }
}

/// A method of the standard, or the convention's word for all others.
fn known(method: &Method) -> &str {
    match *method {
        Method::GET | Method::POST | Method::PUT | Method::DELETE | Method::HEAD | Method::OPTIONS | Method::PATCH => {
            method.as_str()
        }
        _ => "_OTHER",
    }
}

/// The metrics of one server.
#[derive(Debug)]
pub(super) struct Observer {
    service: &'static str,
    clock: Clock,
    requests: Counters,
    rpc_seconds: Histograms,
    http_seconds: Histograms,
    in_flight: Gauge,
}

impl Observer {
    pub(super) fn new(service: &'static str, clock: Clock, metrics: &Metrics) -> Self {
        Self {
            service,
            clock,
            requests: metrics.counters("lepton_requests_total", "Requests that have ended, by method and code"),
            rpc_seconds: metrics.histograms(
                "lepton_rpc_server_call_duration_seconds",
                "Time to the end of the answer of a gRPC call",
                CALL_SECONDS,
            ),
            http_seconds: metrics.histograms(
                "lepton_http_server_request_duration_seconds",
                "Time to the end of the answer of an HTTP request",
                CALL_SECONDS,
            ),
            in_flight: metrics.gauge(
                "lepton_requests_in_flight",
                "Requests being answered",
                &[("service", service)],
            ),
        }
    }

    /// Notes that a request has arrived.
    pub(super) fn begin(self: &Arc<Self>, call: Call, headers: &HeaderMap) -> Observation {
        self.in_flight.inc();
        // The console looks about all the time: what shows traces must not fill them.
        let looks = self.service == VIEWER && !headers.contains_key(TRACEPARENT);
        let span = if looks { Span::none() } else { call.span(headers) };
        let begun = self.clock.monotonic();
        Observation {
            observer: self.clone(),
            call,
            span,
            begun,
            outcome: None,
            route: None,
        }
    }
}

/// A request on its way. It is counted when this is dropped.
pub(super) struct Observation {
    observer: Arc<Observer>,
    call: Call,
    span: Span,
    begun: Duration,
    /// None until the end is known; a request that is dropped before was given up by its caller.
    outcome: Option<Outcome>,
    route: Option<Route>,
}

/// How a request ended.
#[derive(Clone, Copy)]
enum Outcome {
    Grpc(Code),
    Http(u16),
    /// The caller of an HTTP request did not wait for its end.
    HungUp,
}

impl Observation {
    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Goes on observing while the body of the answer is sent.
    pub(super) fn until_the_end_of(mut self, mut response: Response<Body>) -> Response<Body> {
        self.route = response.extensions_mut().remove::<Route>();
        if self.call.grpc {
            self.note(response.headers());
        } else {
            self.outcome = Some(Outcome::Http(response.status().as_u16()));
        }
        response.map(|body| {
            Body::new(Observed {
                body,
                observation: self,
            })
        })
    }

    /// Reads the status of a gRPC answer, which stands in its headers or in its trailers.
    fn note(&mut self, headers: &HeaderMap) {
        let number = headers
            .get("grpc-status")
            .and_then(|value| value.to_str().ok()?.parse().ok());
        if let Some(code) = number.map(|number| Code::from_number(number).unwrap_or(Code::Unknown)) {
            self.outcome = Some(Outcome::Grpc(code));
        }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        let observer = &self.observer;
        let outcome = self.outcome.unwrap_or(match self.call.grpc {
            true => Outcome::Grpc(Code::Cancelled),
            false => Outcome::HungUp,
        });
        let (code, failed) = outcome.tell(&self.span);
        if let (Some(route), false) = (&self.route, self.call.grpc) {
            self.call.name_route(&self.span, &route.0);
        }
        let method = self.call.label(&code, self.route.as_ref());
        let elapsed = observer.clock.monotonic().saturating_sub(self.begun);
        let labels = self.call.conventional(observer.service, &method, &code, failed);
        let seconds = match self.call.grpc {
            true => &observer.rpc_seconds,
            false => &observer.http_seconds,
        };
        seconds.get_or_create(&labels).observe(elapsed.as_secs_f64());
        let labels = vec![
            ("service", observer.service.to_owned()),
            ("method", method),
            ("code", code),
        ];
        observer.requests.get_or_create(&labels).inc();
        observer.in_flight.dec();
    }
}

impl Outcome {
    /// Notes the outcome in the span; gives its name, and whether it is the server's fault.
    fn tell(self, span: &Span) -> (String, bool) {
        let (code, failed) = match self {
            Self::Grpc(code) => {
                span.record("rpc.response.status_code", code.name());
                (code.name().to_owned(), is_failure(code))
            }
            Self::Http(status) => {
                span.record("http.response.status_code", status);
                (status.to_string(), status >= 500)
            }
            Self::HungUp => (Code::Cancelled.name().to_owned(), false),
        };
        if failed {
            span.record("otel.status_code", "error");
            span.record("error.type", code.as_str());
        }
        (code, failed)
    }
}

/// Whether a code is the server's fault, as the semantic conventions have it.
fn is_failure(code: Code) -> bool {
    use Code::*;
    matches!(
        code,
        Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss
    )
}

/// The body of an answer, read inside the request's span.
struct Observed {
    body: Body,
    observation: Observation,
}

impl http_body::Body for Observed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let polled = this
            .observation
            .span
            .in_scope(|| Pin::new(&mut this.body).poll_frame(cx));
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            this.observation.note(trailers);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
