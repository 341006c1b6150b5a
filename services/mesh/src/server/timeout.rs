//! The caller's deadline, enforced.
//!
//! Promises: what the caller no longer waits for is not begun, and ends when the caller gives up; handlers find the
//! [`Deadline`] among the request's extensions. A layer of our own, because those of `tower` and `tower_http` know one duration
//! for all requests, while here each request carries its own in `grpc-timeout`.

use std::task::{Context, Poll};

use axum::body::Body;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Either};
use http::{Request, Response};
use lepton_core::clock::Clock;
use lepton_domain::reason::{ApiError, Reason};
use tower::{Layer, Service};

use super::deadline::Deadline;
use super::refusal::refuse;

/// Enforces deadlines.
#[derive(Clone, Debug)]
pub struct TimeoutLayer {
    clock: Clock,
}

impl TimeoutLayer {
    /// Deadlines are on this clock.
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout {
            inner,
            clock: self.clock,
        }
    }
}

/// The service of [`TimeoutLayer`].
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    clock: Clock,
}

impl<S> Service<Request<Body>> for Timeout<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error: Send, Future: Send + 'static>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let Some(deadline) = Deadline::from_headers(request.headers(), &self.clock) else {
            return Either::Left(self.inner.call(request));
        };
        let remaining = deadline.remaining(&self.clock);
        if remaining.is_zero() {
            return Either::Right(async { Ok(refuse(late())) }.boxed());
        }
        request.extensions_mut().insert(deadline);
        let answered = tokio::time::timeout(remaining, self.inner.call(request));
        let answered = answered.map(|in_time| in_time.unwrap_or_else(|_| Ok(refuse(late()))));
        Either::Right(answered.boxed())
    }
}

fn late() -> ApiError {
    let message = "the caller's deadline passed before the answer was there";
    ApiError::new(Reason::DeadlineExceeded, message)
}
