//! The connector behind every gRPC channel.
//!
//! Promises: each call of it dials the next endpoint. Leaves when to dial to tonic's reconnecting channel.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use tower::Service;

use super::{Net, Stream};

/// Dials endpoints in turn. Clones share the turn.
#[derive(Clone, Debug)]
pub(super) struct Dialer {
    net: Net,
    endpoints: Arc<[String]>,
    turn: Arc<AtomicUsize>,
}

impl Dialer {
    /// A dialer that starts with the first of `endpoints`.
    pub(super) fn new(net: Net, endpoints: Vec<String>) -> Self {
        let endpoints = endpoints
            .iter()
            .map(|endpoint| authority(endpoint).to_owned())
            .collect();
        Self {
            net,
            endpoints,
            turn: Arc::default(),
        }
    }

    /// The first endpoint, or the empty text without any.
    pub(super) fn first(&self) -> &str {
        self.endpoints.first().map_or("", String::as_str)
    }

    fn next(&self) -> io::Result<&str> {
        // Relaxed: only the number matters, nothing is published with it.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let next = turn
            .checked_rem(self.endpoints.len())
            .and_then(|index| self.endpoints.get(index));
        next.map(String::as_str)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no endpoint to dial"))
    }
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let dialer = self.clone();
        Box::pin(async move { Ok(TokioIo::new(dialer.net.connect(dialer.next()?).await?)) })
    }
}

/// The `HOST:PORT` of an address that may be written as a URL.
fn authority(endpoint: &str) -> &str {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    rest.split_once('/').map_or(rest, |(authority, _)| authority)
}
