//! The gRPC face: paths to handlers, limits, and the life of a server.
//!
//! Handlers decode, check what needs no state, ask the owner and encode. The one [`Api`] routes by path itself: the paths are fixed,
//! and a router would only repeat them.

use crate::{
    error::Error,
    handle::Handle,
    log::{Log, Writer},
    machine::Machine,
    owner::{Owner, Settings},
};
use futures::{FutureExt, Stream, future::BoxFuture};
use std::{
    convert::Infallible,
    future::Future,
    io,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{body::Body, transport::server::Connected};
use tower::Service;

mod call;
mod cluster;
mod kv;
mod lease;
mod watch;

/// HTTP/2 windows: a stream takes two of the largest requests at once, a connection several streams.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// Silence after which a connection is probed, and the time for its answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Time for open calls to end after a shutdown began.
const DRAIN: Duration = Duration::from_secs(5);

/// A recovered server, ready to serve.
pub struct Server {
    machine: Machine,
    writer: Option<Writer>,
    settings: Settings,
    member: MemberInfo,
}

/// Entry of the server in the member list.
#[derive(Debug)]
pub(crate) struct MemberInfo {
    pub name: String,
    pub client_urls: Vec<String>,
}

impl Server {
    /// Joins recovered state, its log (`None`: in memory) and settings.
    pub(crate) fn new(machine: Machine, writer: Option<Writer>, settings: Settings, member: MemberInfo) -> Self {
        Self {
            machine,
            writer,
            settings,
            member,
        }
    }

    /// Serves connections from `incoming` until `shutdown`, then lets open calls end and closes the log.
    ///
    /// Long-lived streams (watch, keep-alive) end with the shutdown at once; other calls have five seconds.
    ///
    /// # Errors
    ///
    /// The disk failed, or the listener did.
    pub async fn run<IO>(
        self,
        incoming: impl Stream<Item = io::Result<IO>>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error>
    where
        IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let (api, driver) = self.into_service();
        let stop = api.stop.clone();
        let signal = {
            let stop = stop.clone();
            async move { stop.cancelled().await }
        };
        let serve = tonic::transport::Server::builder()
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .serve_with_incoming_shutdown(api, incoming, signal);
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let drive = driver.run(async move { drop(ended.await) });
        let served = async {
            let result = drain(pin!(serve), shutdown, &stop).await;
            drop(end);
            result
        };
        // A failed disk ends the driver first; its guard cancels `stop`, which ends the serving as well.
        let (served, driven) = tokio::join!(served, drive);
        driven.and(served)
    }

    /// The service alone, for a caller with its own HTTP/2 server or a simulator. It answers only while the [`Driver`] runs.
    pub fn into_service(self) -> (Api, Driver) {
        let (handle, inbox) = Handle::new();
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let api = Api {
            handle,
            member: Arc::new(self.member),
            stop,
        };
        (
            api,
            Driver {
                machine: self.machine,
                writer: self.writer,
                settings: self.settings,
                inbox,
                guard,
            },
        )
    }
}

/// Serves until `shutdown` or `stop`, then gives open calls a limited time.
async fn drain(
    mut serve: std::pin::Pin<&mut impl Future<Output = Result<(), tonic::transport::Error>>>,
    shutdown: impl Future<Output = ()>,
    stop: &CancellationToken,
) -> Result<(), Error> {
    tokio::select! {
        result = &mut serve => return result.map_err(Error::from),
        () = shutdown => stop.cancel(),
        () = stop.cancelled() => {}
    }
    match timeout(DRAIN, serve).await {
        Ok(result) => result.map_err(Error::from),
        Err(_) => Ok(()),
    }
}

/// Runs the state and the log behind an [`Api`].
pub struct Driver {
    machine: Machine,
    writer: Option<Writer>,
    settings: Settings,
    inbox: mpsc::Receiver<crate::handle::Call>,
    guard: DropGuard,
}

impl Driver {
    /// Works until `shutdown`, then answers the queued calls and closes the log.
    ///
    /// # Errors
    ///
    /// The disk failed; nothing that was not durable has been confirmed.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let log = match self.writer {
            Some(writer) => Log::start(writer)?,
            None => Log::in_memory(&self.machine),
        };
        let ending = CancellationToken::new();
        let mut owner = pin!(Owner::new(self.machine, log, self.settings).run(self.inbox, ending.clone()));
        let result = tokio::select! {
            result = &mut owner => result,
            () = shutdown => {
                ending.cancel();
                owner.await
            }
        };
        drop(self.guard);
        result
    }
}

/// All services of the etcd v3 API that one node has, as one tower service.
#[derive(Clone)]
pub struct Api {
    handle: Handle,
    member: Arc<MemberInfo>,
    /// Ends long-lived streams.
    stop: CancellationToken,
}

impl Service<http::Request<Body>> for Api {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Waiting happens at the owner's inbox, one call at a time.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let api = self.clone();
        async move { Ok(api.route(request).await) }.boxed()
    }
}

impl Api {
    async fn route(self, request: http::Request<Body>) -> http::Response<Body> {
        let path = request.uri().path().to_owned();
        let Some((service, method)) = path
            .strip_prefix("/etcdserverpb.")
            .and_then(|path| path.split_once('/'))
        else {
            return call::unknown();
        };
        match service {
            "KV" => kv::route(self.handle, method, request).await,
            "Lease" => lease::route(self.handle, self.stop, method, request).await,
            "Watch" => watch::route(self.handle, self.stop, method, request).await,
            "Cluster" | "Maintenance" | "Auth" => cluster::route(self.handle, &self.member, method, request).await,
            _ => call::unknown(),
        }
    }
}
