//! The span and the metrics of each request.
//!
//! Promises: counted once and measured to the end of the answer's body, also when the caller hangs up; spans and metrics
//! are those of OpenTelemetry's conventions for RPC and HTTP. Leaves the trace to `telemetry` and the scrape to `admin`.
//!
//! A layer of our own: `tower_http`'s `TraceLayer` calls nobody when a caller hangs up, its `OnEarlyDropLayer` does not know the
//! span or the trailers, and neither callback has both the request, whose method is a label, and the end of its answer.
//!
//! See <https://opentelemetry.io/docs/specs/semconv/rpc/grpc/> and <https://opentelemetry.io/docs/specs/semconv/http/>.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use lepton_domain::reason::{Code, Reason};
use tracing::Span;

use super::refusal;
pub(super) use call::Call;
use lepton_core::clock::Clock;
use lepton_core::metrics::{CALL_SECONDS, Counters, Gauge, Histograms, Metrics};

mod call;

/// The name of a request's route, among its extensions or those of its response: for routers that match by themselves.
#[derive(Clone, Debug)]
pub struct Route(pub Arc<str>);

/// The status of a gRPC answer, once its end is known; among the extensions of an answer whose trailers are hidden further out.
#[derive(Clone, Debug, Default)]
struct ReportedStatus(Arc<OnceLock<Code>>);

/// Reports the status of a gRPC answer to the stack, past a layer that makes the trailers a part of the body, as gRPC-Web's does.
pub fn report_status(mut response: Response<Body>) -> Response<Body> {
    let reported = ReportedStatus::default();
    response.extensions_mut().insert(reported.clone());
    response.map(|body| {
        Body::new(body.inspect_frame(move |frame| {
            if let Some(code) = frame.trailers_ref().and_then(refusal::code) {
                reported.0.get_or_init(|| code);
            }
        }))
    })
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
    /// The beginnings of paths whose requests have no span.
    untraced: &'static [&'static str],
}

impl Observer {
    pub(super) fn new(
        service: &'static str,
        clock: Clock,
        metrics: &Metrics,
        untraced: &'static [&'static str],
    ) -> Self {
        Self {
            service,
            clock,
            untraced,
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

    /// Notes that a request has arrived. Its route is known already where a layer further out has found it.
    pub(super) fn begin(self: &Arc<Self>, request: &Request<Body>) -> Observation {
        self.in_flight.inc();
        let call = Call::of(request);
        let span = call.span(request.headers(), self.untraced);
        let begun = self.clock.monotonic();
        Observation {
            observer: self.clone(),
            call,
            span,
            begun,
            outcome: None,
            reported: None,
            route: request.extensions().get().cloned(),
            reason: None,
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
    /// The status that the answer itself does not show.
    reported: Option<ReportedStatus>,
    route: Option<Route>,
    /// Why it was refused.
    reason: Option<Reason>,
}

/// The end of a request.
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
        self.route = response.extensions_mut().remove::<Route>().or(self.route.take());
        self.reported = response.extensions_mut().remove();
        self.reason = response.extensions().get().copied();
        if self.call.is_grpc() {
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
        if let Some(code) = refusal::code(headers) {
            self.outcome = Some(Outcome::Grpc(code));
        }
    }

    fn outcome(&self) -> Outcome {
        let reported = || Some(Outcome::Grpc(*self.reported.as_ref()?.0.get()?));
        self.outcome.or_else(reported).unwrap_or(match self.call.is_grpc() {
            true => Outcome::Grpc(Code::Cancelled),
            false => Outcome::HungUp,
        })
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        let observer = &self.observer;
        let end = self.outcome().record(&self.span);
        if let Some(reason) = self.reason {
            note_refusal(&self.span, reason);
        }
        if let (Some(route), false) = (&self.route, self.call.is_grpc()) {
            self.call.name_route(&self.span, &route.0);
        }
        let method = self.call.label(self.route.as_ref());
        let elapsed = observer.clock.monotonic().saturating_sub(self.begun);
        let labels = self.call.conventional(observer.service, &method, &end);
        let seconds = match self.call.is_grpc() {
            true => &observer.rpc_seconds,
            false => &observer.http_seconds,
        };
        seconds.get_or_create(&labels).observe(elapsed.as_secs_f64());
        let labels = vec![
            ("service", observer.service.to_owned()),
            ("method", method),
            ("code", end.code),
        ];
        observer.requests.get_or_create(&labels).inc();
        observer.in_flight.dec();
    }
}

/// An outcome as spans and labels show it.
struct End {
    /// Its name: the gRPC code, or the HTTP status.
    code: String,
    /// True when the caller got this from us.
    status: bool,
    /// The error, where it is one by the conventions.
    error: Option<String>,
}

impl Outcome {
    /// Records the outcome in the span.
    fn record(self, span: &Span) -> End {
        let (code, status, failed) = match self {
            Self::Grpc(code) => {
                span.record("rpc.status_code", code.name());
                (code.name().to_owned(), true, is_failure(code))
            }
            Self::Http(status) => {
                span.record("http.response.status_code", i64::from(status));
                (status.to_string(), true, status >= 500)
            }
            Self::HungUp => (Code::Cancelled.name().to_owned(), false, false),
        };
        if failed {
            span.record("otel.status_code", "error");
        }
        let error = (failed || !status).then(|| code.clone());
        if let Some(error) = &error {
            span.record("error.type", error.as_str());
        }
        End { code, status, error }
    }
}

/// Marks the span of a refused request, with the reason. The conventions leave a client's error unmarked unless the server knows
/// better, and here it does: the request was not what it should have been, and its trace must not look like a success. What is
/// merely not there, or was given up, is no error of anybody.
fn note_refusal(span: &Span, reason: Reason) {
    if ![Code::NotFound, Code::AlreadyExists, Code::Cancelled].contains(&reason.code()) {
        span.record("otel.status_code", "error");
    }
    span.record("error.type", reason.as_str());
}

/// Returns true for the codes that are the server's fault, as the semantic conventions have it.
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
