//! What becomes of each request: a span and metrics.
//!
//! Promises: counted once and measured to the end of the answer's body, also when the caller hangs up. Leaves the
//! trace to `telemetry` and the scrape to `admin`.

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
use crate::telemetry::metrics::{Counters, Gauge, Histograms, Metrics, SECONDS};
use crate::telemetry::trace::TRACEPARENT;

/// The name of the route that answered, among a response's extensions: for routers that match by themselves.
#[derive(Clone, Debug)]
pub struct Route(pub Arc<str>);

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

    /// A span in the caller's trace. Health checks and reflection are too many and too dull for one.
    fn span(&self, headers: &HeaderMap) -> Span {
        let parent = headers
            .get(TRACEPARENT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        let Some((service, method)) = self.path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
            return self.http_span(parent);
        };
        if !self.grpc {
            return self.http_span(parent);
        }
        if service.starts_with("grpc.") {
            return Span::none();
        }
        info_span!(
            "request",
            traceparent = parent,
            otel.name = &self.path[1..],
            otel.kind = "server",
            otel.status_code = field::Empty,
            rpc.system = "grpc",
            rpc.service = service,
            rpc.method = method,
            rpc.grpc.status_code = field::Empty,
        )
    }

    fn http_span(&self, parent: &str) -> Span {
        let route = self.matched.as_ref().map_or(&*self.path, MatchedPath::as_str);
        info_span!(
            "request",
            traceparent = parent,
            otel.name = route,
            otel.kind = "server",
            otel.status_code = field::Empty,
            http.request.method = self.method.as_str(),
            url.path = &*self.path,
            http.response.status_code = field::Empty,
        )
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

/// The metrics of one server.
#[derive(Debug)]
pub(super) struct Observer {
    service: &'static str,
    clock: Clock,
    requests: Counters,
    seconds: Histograms,
    in_flight: Gauge,
}

impl Observer {
    pub(super) fn new(service: &'static str, clock: Clock, metrics: &Metrics) -> Self {
        Self {
            service,
            clock,
            requests: metrics.counters("lepton_requests_total", "Requests that have ended, by method and code"),
            seconds: metrics.histograms("lepton_request_seconds", "Time to the end of the answer", SECONDS),
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
        let (span, begun) = (call.span(headers), self.clock.monotonic());
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
        let (code, failed) = match self.outcome.unwrap_or(Outcome::Grpc(Code::Cancelled)) {
            Outcome::Grpc(code) => {
                self.span.record("rpc.grpc.status_code", code.number());
                (code.name().to_owned(), is_failure(code))
            }
            Outcome::Http(status) => {
                self.span.record("http.response.status_code", status);
                (status.to_string(), status >= 500)
            }
        };
        if failed {
            self.span.record("otel.status_code", "error");
        }
        let method = self.call.label(&code, self.route.as_ref());
        let mut labels = vec![("service", observer.service.to_owned()), ("method", method)];
        let elapsed = observer.clock.monotonic().saturating_sub(self.begun);
        observer.seconds.get_or_create(&labels).observe(elapsed.as_secs_f64());
        labels.push(("code", code));
        observer.requests.get_or_create(&labels).inc();
        observer.in_flight.dec();
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
