//! Carries the trace context into outgoing calls.
//!
//! Promises: a call made inside a span continues its trace at the other end. Leaves the incoming side to
//! `server::stack`.

use std::task::{Context, Poll};

use http::Request;
use tower::{Layer, Service};

use super::trace;

/// Wraps a client's channel so that every request carries the current trace context.
#[derive(Clone, Copy, Debug, Default)]
pub struct PropagateLayer;

impl<S> Layer<S> for PropagateLayer {
    type Service = Propagate<S>;

    fn layer(&self, inner: S) -> Propagate<S> {
        Propagate::new(inner)
    }
}

/// A channel whose requests carry the current trace context.
#[derive(Clone, Debug)]
pub struct Propagate<S> {
    inner: S,
}

impl<S> Propagate<S> {
    /// Wraps a channel.
    pub fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Propagate<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        trace::inject(request.headers_mut());
        self.inner.call(request)
    }
}
