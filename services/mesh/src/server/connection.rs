//! One connection, HTTP/1 or HTTP/2 by its first bytes.
//!
//! Promises: it ends when the peer is gone, has nothing to ask, or after a shutdown once all answers are out. From the
//! announcement of a shutdown on, answers of HTTP/1 carry `connection: close`; what was on its way to a connection that looked
//! idle is answered. Leaves cutting off to [`super::drain`].

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tower::{Service, ServiceExt};
use tracing::Instrument;

use super::drain::StagedShutdown;
use super::limits::Limits;
use lepton_core::net::{CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES, Stream};
use lepton_core::shutdown::Shutdown;

/// Time for which a connection of HTTP/1 that looks idle is served after the shutdown: a request that was sent before its client could
/// know must not be lost. Longer than a way there and back, and than a busy client's pause between two requests.
const LINGER: Duration = Duration::from_millis(250);

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
pub(super) async fn run<S>(
    builder: Builder<InSpan>,
    stream: Stream,
    service: S,
    limits: Limits,
    shutdown: StagedShutdown,
) where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let seen = Arc::new(Seen::default());
    let service = watched(service, Arc::clone(&seen), shutdown.announced);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let silent = silence(&seen, limits.idle_timeout);
    tokio::select! {
        // First: what has arrived is read before the connection counts as idle.
        biased;
        result = &mut connection => return ended(result),
        () = shutdown.closing.triggered() => {
            // HTTP/2 says itself which requests it still takes.
            if !seen.http2.load(Ordering::Relaxed) {
                tokio::select! {
                    biased;
                    result = &mut connection => return ended(result),
                    () = tokio::time::sleep(LINGER) => {}
                }
            }
        }
        () = silent => {}
    }
    connection.as_mut().graceful_shutdown();
    ended(connection.await);
}

/// Facts about the requests of a connection. Relaxed: flags that only ever rise.
#[derive(Debug, Default)]
struct Seen {
    /// There was one.
    any: AtomicBool,
    /// They are of HTTP/2.
    http2: AtomicBool,
}

/// The service of one connection, whose answers announce its end once that is near.
fn watched<S>(
    service: S,
    seen: Arc<Seen>,
    announced: Shutdown,
) -> impl hyper::service::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    service_fn(move |request: Request<Incoming>| {
        let is_http2 = request.version() == Version::HTTP_2;
        seen.any.store(true, Ordering::Relaxed);
        seen.http2.store(is_http2, Ordering::Relaxed);
        let (answered, announced) = (service.clone().oneshot(request), announced.clone());
        async move {
            let mut response = answered.await?;
            if !is_http2 && announced.is_triggered() {
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        }
    })
}

/// Ends when a connection had its time and asked for nothing; never if it did ask.
async fn silence(seen: &Seen, timeout: Duration) {
    tokio::time::sleep(timeout).await;
    if seen.any.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

fn ended(result: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = result {
        // Peers leave in many ways; none of them is a failure of ours.
        tracing::debug!(%error, "a connection ended");
    }
}
