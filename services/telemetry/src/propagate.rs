//! Carries the trace context into outgoing calls.
//!
//! Promises: a call made inside a span continues its trace at the other end; where that trace is sampled, the call has a
//! client's span of its own, to the end of the answer. Leaves the incoming side to `server::stack`. A service of our own, as
//! the callbacks of `tower_http`'s `TraceLayer` get a request that they cannot change, and so cannot write its headers, and none
//! is called for an answer that is given up before its end.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Either};
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use lepton_domain::reason::Code;
use tonic::Status;
use tonic::body::Body;
use tower::Service;
use tracing::{Instrument, Span, field, info_span};

use super::trace;

#[cfg(test)]
mod tests;

/// A channel whose requests carry the current trace context.
#[derive(Clone, Debug)]
pub struct Propagate<S> {
    inner: S,
    /// The service at the other end.
    peer: &'static str,
}

impl<S> Propagate<S> {
    /// Wraps a channel to a service of this name, such as `worker`.
    pub fn to(peer: &'static str, inner: S) -> Self {
        Self { inner, peer }
    }
}

impl<S, B> Service<Request<B>> for Propagate<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let current = trace::current();
        if !current.is_some_and(|context| context.is_sampled()) {
            trace::inject(current, request.headers_mut());
            return Either::Left(self.inner.call(request));
        }
        let span = span(self.peer, request.uri().path());
        let sent = span.in_scope(|| {
            trace::inject(trace::current(), request.headers_mut());
            self.inner.call(request)
        });
        let mut outcome = Outcome(Some(span.clone()));
        let answered = async move {
            match sent.await {
                Ok(response) => {
                    outcome.note(response.headers());
                    Ok(response.map(|body| Body::new(Observed { body, outcome })))
                }
                Err(error) => {
                    outcome.end(Code::Unavailable);
                    Err(error)
                }
            }
        };
        Either::Right(answered.instrument(span).boxed())
    }
}

/// A client's span, as the conventions have it.
fn span(peer: &str, path: &str) -> Span {
    let method = path.strip_prefix('/').unwrap_or(path);
    info_span!(
        "call",
        otel.name = method,
        otel.kind = "client",
        otel.status_code = field::Empty,
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.status_code = field::Empty,
        server.address = peer,
        "error.type" = field::Empty,
    )
}

/// The outcome of a call; one that is dropped before its end was given up here.
struct Outcome(Option<Span>);

impl Outcome {
    /// Reads the status, which stands in the headers or in the trailers.
    fn note(&mut self, headers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(headers) {
            self.end(Code::from_number(i32::from(status.code())).unwrap_or(Code::Unknown));
        }
    }

    fn end(&mut self, code: Code) {
        let Some(span) = self.0.take() else { return };
        span.record("rpc.status_code", code.name());
        // To a client every code but OK is a failure.
        if code != Code::Ok {
            span.record("otel.status_code", "error");
            span.record("error.type", code.name());
        }
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// The body of an answer, at whose end the status stands.
struct Observed {
    body: Body,
    outcome: Outcome,
}

impl http_body::Body for Observed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        // A span lasts until it is left for the last time.
        let polled = match &this.outcome.0 {
            Some(span) => span.in_scope(|| Pin::new(&mut this.body).poll_frame(cx)),
            None => Pin::new(&mut this.body).poll_frame(cx),
        };
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.outcome.note(trailers);
                }
            }
            Poll::Ready(Some(Err(_))) => this.outcome.end(Code::Unavailable),
            _ => {}
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
