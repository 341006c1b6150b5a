//! Readiness, for health checks: `grpc.health.v1`.
//!
//! Promises: watchers are notified of each change, get NOT_SERVING when the service is about to stop, and are let go then, so
//! that they do not hold up a drain. Leaves deciding what ready means to the service.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health as Protocol, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use lepton_core::shutdown::Shutdown;

/// Readiness of a service. Clones share it; false at first.
#[derive(Clone, Debug)]
pub struct Readiness {
    ready: Arc<watch::Sender<bool>>,
}

impl Readiness {
    /// Not ready yet.
    pub fn new() -> Self {
        Self {
            ready: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Says whether a request would succeed now.
    pub fn set(&self, ready: bool) {
        // Only changes wake those who listen.
        self.ready
            .send_if_modified(|current| std::mem::replace(current, ready) != ready);
    }

    /// Returns whether a request would succeed now.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Follows the answer.
    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Waits until it is ready.
    pub async fn wait(&self) {
        // The sender is alive: `self` holds it.
        let _ = self.subscribe().wait_for(|ready| *ready).await;
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

/// The health service of one server.
#[derive(Clone, Debug)]
pub struct Health {
    readiness: Readiness,
    services: Arc<BTreeSet<String>>,
    shutdown: Shutdown,
}

/// The health service for the gRPC services named, and for the server as a whole (the empty name). All share the
/// readiness; from `shutdown` on they are NOT_SERVING.
pub fn service(readiness: Readiness, services: &[&str], shutdown: Shutdown) -> HealthServer<Health> {
    let names = services
        .iter()
        .copied()
        .chain(["", "grpc.health.v1.Health"])
        .map(str::to_owned);
    HealthServer::new(Health {
        readiness,
        services: Arc::new(names.collect()),
        shutdown,
    })
}

impl Health {
    fn answer(&self, ready: bool) -> HealthCheckResponse {
        let serving = ready && !self.shutdown.is_triggered();
        let status = if serving {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        HealthCheckResponse { status: status.into() }
    }

    fn knows(&self, service: &str) -> bool {
        self.services.contains(service)
    }

    /// The present answer and every later one, up to the last.
    fn answers(&self) -> impl Stream<Item = HealthCheckResponse> + Send + 'static {
        let state = Some((self.clone(), self.readiness.subscribe(), true));
        stream::unfold(state, |state| async move {
            let (health, mut ready, first) = state?;
            let shutdown = health.shutdown.clone();
            let last = tokio::select! {
                () = shutdown.triggered() => true,
                changed = ready.changed(), if !first => changed.is_err(),
                () = std::future::ready(()), if first => false,
            };
            let current = *ready.borrow_and_update();
            let answer = health.answer(current);
            Some((answer, (!last).then_some((health, ready, false))))
        })
    }
}

#[tonic::async_trait]
impl Protocol for Health {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.knows(&request.get_ref().service) {
            // The protocol wants this very code.
            return Err(Status::not_found(format!(
                "{:?} is not served here",
                request.get_ref().service
            )));
        }
        Ok(Response::new(self.answer(self.readiness.is_ready())))
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        if self.knows(&request.get_ref().service) {
            return Ok(Response::new(self.answers().map(Ok).boxed()));
        }
        let unknown = HealthCheckResponse {
            status: ServingStatus::ServiceUnknown.into(),
        };
        // The protocol wants the stream to stay open, as the service may appear.
        let shutdown = self.shutdown.clone();
        let open = stream::once(async move { shutdown.triggered().await }).filter_map(|()| async { None });
        Ok(Response::new(stream::iter([Ok(unknown)]).chain(open).boxed()))
    }
}
