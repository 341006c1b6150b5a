//! Serving: one accept loop for gRPC and HTTP on one port.
//!
//! Promises: every connection is bounded in what it can ask for and in how long it may idle before it asks; on shutdown
//! each is asked to go, finishes what it began and is cut off at the end of the drain. Leaves what is served to the router, and
//! its layers to [`stack`].

use std::convert::Infallible;
use std::io;

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use tower::{Service, ServiceExt};

use lepton_core::net::Listener;

use drain::{Connections, StagedShutdown};
use limits::Limits;

mod catch_panic;
mod connection;
pub mod deadline;
pub mod drain;
pub mod health;
pub mod host;
pub mod limits;
mod observe;
pub mod raw;
pub mod reflection;
pub mod refusal;
pub mod stack;
#[cfg(test)]
mod tests;
mod timeout;

/// Serves `app` until the shutdown, then drains. An error of one connection ends that connection only; accepting goes on when
/// the system is short of something. Runs in the caller's span, and so does all that it spawns.
pub async fn serve(
    listener: Listener,
    app: Router,
    limits: Limits,
    shutdown: impl Into<StagedShutdown>,
) -> io::Result<()> {
    let shutdown = shutdown.into();
    let builder = connection::builder(&limits);
    let mut connections = Connections::new(limits.connections_max);
    loop {
        let accepted = tokio::select! {
            () = shutdown.closing.triggered() => break,
            // With all places taken, new connections wait in the system's backlog.
            accepted = listener.accept(), if connections.has_room() => accepted,
            () = connections.one_ended(), if !connections.is_empty() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                let service = with_peer(app.clone(), peer);
                let run = connection::run(builder.clone(), stream, service, limits.clone(), shutdown.clone());
                connections.spawn(run);
            }
            Err(error) => {
                // A peer that hung up again costs nothing; without file descriptors, waiting may free some.
                tracing::debug!(%error, "a connection was not accepted");
                tokio::time::sleep(limits.accept_backoff).await;
            }
        }
    }
    // The port is free from here on, for a successor.
    drop(listener);
    connections.drain(limits.drain_timeout).await;
    Ok(())
}

/// The address of the other end, among the extensions of each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub std::net::SocketAddr);

/// The router as hyper wants it: requests bring their peer along.
fn with_peer(
    app: Router,
    peer: std::net::SocketAddr,
) -> impl Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static
{
    app.map_request(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        request
    })
}
