//! The layers around every request, from the outside in:
//!
//! 1. *observe*: a span in the caller's trace and the metrics of the call, however it ends;
//! 2. *explain*: an error that the gRPC library made gets a reason and details like ours;
//! 3. *contain*: a panic of a handler becomes INTERNAL for its caller and nothing for the others;
//! 4. *hurry*: what the caller no longer waits for is not begun, and ends when the caller gives up.
//!
//! Promises: one middleware for all four, as each of axum's costs an allocation per request. Leaves limits of the
//! message size to the services and authentication to the gateway.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse;
use futures::FutureExt;
use http::{Request, Response, StatusCode};
use lepton_domain::reason::{Fault, Reason};
use tonic::Status;
use tonic::server::NamedService;
use tower::Service;
use tracing::Instrument;

use super::deadline::Deadline;
use super::observe::{Call, Observer};
use lepton_core::clock::Clock;
use lepton_core::error;
use lepton_core::metrics::Metrics;

pub use super::observe::Route;

/// Present when a response explains itself.
const DETAILS: &str = "grpc-status-details-bin";
/// Present when a response has ended already.
const GRPC_STATUS: &str = "grpc-status";

/// What the layers need to know of the service around which they are laid.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// The service's name, a label of its metrics.
    pub service: &'static str,
    /// Where durations and deadlines come from.
    pub clock: Clock,
    /// Where the metrics are kept.
    pub metrics: Metrics,
}

#[derive(Debug)]
struct Stack {
    clock: Clock,
    observer: Arc<Observer>,
}

/// Adds a gRPC service to a router.
pub fn mount<S>(router: Router, service: S) -> Router
where
    S: Service<Request<Body>, Error = Infallible, Response: IntoResponse, Future: Send>,
    S: NamedService + Clone + Send + Sync + 'static,
{
    router.route_service(&format!("/{}/{{*method}}", S::NAME), service)
}

/// Lays the layers around all routes of `router`, its fallback included. Add routes before.
pub fn apply(router: Router, config: StackConfig) -> Router {
    let observer = Observer::new(config.service, config.clock, &config.metrics);
    let stack = Arc::new(Stack {
        clock: config.clock,
        observer: Arc::new(observer),
    });
    router.layer(from_fn_with_state(stack, answer))
}

async fn answer(State(stack): State<Arc<Stack>>, mut request: Request<Body>, next: Next) -> Response<Body> {
    let call = Call::of(&request);
    let deadline = Deadline::from_headers(request.headers(), &stack.clock);
    if let Some(deadline) = deadline {
        request.extensions_mut().insert(deadline);
    }
    let observed = stack.observer.begin(call.clone(), request.headers());
    let span = observed.span().clone();
    let answered = async {
        let hurried = hurry(deadline, &stack.clock, contain(next.run(request)));
        let response = hurried.await.unwrap_or_else(|fault| refuse(&call, &fault));
        explain(&call, response)
    };
    let response = answered.instrument(span).await;
    observed.until_the_end_of(response)
}

/// Ends with the caller's patience. What is late on arrival does not begin.
async fn hurry(
    deadline: Option<Deadline>,
    clock: &Clock,
    work: impl Future<Output = Result<Response<Body>, Fault>>,
) -> Result<Response<Body>, Fault> {
    let Some(deadline) = deadline else { return work.await };
    let late = || {
        Fault::new(
            Reason::DeadlineExceeded,
            "the caller's deadline passed before the answer was there",
        )
    };
    let remaining = deadline.remaining(clock);
    if remaining.is_zero() {
        return Err(late());
    }
    tokio::time::timeout(remaining, work)
        .await
        .unwrap_or_else(|_| Err(late()))
}

/// Turns a panic into a fault. The handler's state is its own: what it shares is behind channels and atomics.
async fn contain(work: impl Future<Output = Response<Body>>) -> Result<Response<Body>, Fault> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref().map(String::as_str));
        tracing::error!(panic = text.unwrap_or("of unknown type"), "a handler panicked");
        Fault::new(
            Reason::Internal,
            "a defect in the service; its log says more under this trace id",
        )
    })
}

/// A fault in the form that the caller reads.
fn refuse(call: &Call, fault: &Fault) -> Response<Body> {
    if call.is_grpc() {
        error::status(fault).into_http()
    } else if call.path() == "/v2" || call.path().starts_with("/v2/") {
        error::v2(fault)
    } else {
        error::rest(fault)
    }
}

/// Gives errors of the gRPC library the details that ours have. Health and reflection keep to their protocols.
fn explain(call: &Call, response: Response<Body>) -> Response<Body> {
    if !call.is_grpc() || call.path().starts_with("/grpc.") || response.headers().contains_key(DETAILS) {
        return response;
    }
    if !response.headers().contains_key(GRPC_STATUS) {
        // An answer without a status is a stream, or a page of a router that knows no gRPC.
        let unknown = matches!(
            response.status(),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
        );
        return if unknown {
            refuse(call, &unknown_method(call))
        } else {
            response
        };
    }
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() == tonic::Code::Unimplemented && status.message().is_empty() => {
            refuse(call, &unknown_method(call))
        }
        Some(status) if status.code() != tonic::Code::Ok => refuse(call, &error::fault(&status)),
        _ => response,
    }
}

fn unknown_method(call: &Call) -> Fault {
    Fault::new(
        Reason::MethodNotAllowed,
        format!("{} is not a method of this server", call.path()),
    )
}
