//! Panics of handlers, as answers.
//!
//! Promises: a panic is INTERNAL for its caller and nothing for the others. Leaves catching it to `tower_http`, whose own
//! answer is plain text: here it becomes a refusal like all others.

use std::any::Any;

use axum::body::Body;
use http::Response;
use lepton_domain::reason::{ApiError, Reason};
use tower_http::catch_panic::CatchPanicLayer;

use super::refusal::refuse;

/// The response to a panic.
pub type PanicResponse = fn(Box<dyn Any + Send>) -> Response<Body>;

/// The layer. The handler's state is its own: what it shares is behind channels and atomics.
pub fn layer() -> CatchPanicLayer<PanicResponse> {
    CatchPanicLayer::custom(answer as PanicResponse)
}

fn answer(panic: Box<dyn Any + Send>) -> Response<Body> {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("of unknown type"), "a handler panicked");
    let message = "a defect in the service; its log says more under this trace id";
    // No handler panics; one that does has a defect.
    refuse(ApiError::new(Reason::Internal, message))
}
