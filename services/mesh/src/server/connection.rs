//! One connection, HTTP/1 or HTTP/2 by its first bytes.
//!
//! Promises: it ends when the peer is gone, has nothing to ask, or after a shutdown once all answers are out. Leaves
//! cutting off to `drain`.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tower::{Service, ServiceExt};
use tracing::Instrument;

use super::limits::Limits;
use lepton_core::net::{CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES, Stream};
use lepton_core::shutdown::Shutdown;

/// Spawns hyper's tasks into the span of the server, whose scope names the service.
#[derive(Clone, Copy, Debug)]
pub(super) struct InSpan;

impl<F> hyper::rt::Executor<F> for InSpan
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        // hyper ends these tasks with their connection.
        tokio::spawn(future.in_current_span());
    }
}

/// The settings of every connection.
pub(super) fn builder(limits: &Limits) -> Builder<InSpan> {
    let mut builder = Builder::new(InSpan);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(limits.header_list_bytes_max)
        .keep_alive_interval(limits.keep_alive_interval)
        .keep_alive_timeout(limits.keep_alive_timeout);
    builder
}

/// Serves a connection to its end.
pub(super) async fn run<S>(builder: Builder<InSpan>, stream: Stream, service: S, limits: Limits, shutdown: Shutdown)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let asked = Arc::new(AtomicBool::new(false));
    let first = asked.clone();
    let service = service.map_request(move |request: Request<Incoming>| {
        // Relaxed: a flag that only ever rises.
        first.store(true, Ordering::Relaxed);
        request
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
    let silent = silence(&asked, limits.idle_timeout);
    tokio::select! {
        result = &mut connection => return ended(result),
        () = shutdown.triggered() => {}
        () = silent => {}
    }
    connection.as_mut().graceful_shutdown();
    ended(connection.await);
}

/// Ends when a connection had its time and asked for nothing; never if it did ask.
async fn silence(asked: &AtomicBool, timeout: Duration) {
    tokio::time::sleep(timeout).await;
    if asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

fn ended(result: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = result {
        // Peers leave in many ways; none of them is a failure of ours.
        tracing::debug!(%error, "a connection ended");
    }
}
