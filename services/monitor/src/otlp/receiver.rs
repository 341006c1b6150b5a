//! Listener for OTLP: gRPC and HTTP on one port, as both are HTTP.
//!
//! Promises: other signals are rejected in the terms of the protocol; message sizes and the memory for concurrent
//! messages are limited. It creates no spans of its own, because a receiver that traces what it receives never rests.
//! Leaves storing to [`super::store`]. The reservation is a layer of our own: `tower`'s `ConcurrencyLimit` counts requests, not
//! their bytes, and takes its permit before it has seen the headers with the size.

mod error;
mod grpc;
mod http;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use ::http::{HeaderMap, Request, Response};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::middleware::{Next, from_fn_with_state};
use axum::routing::post;
use lepton_core::net::Listener;
use lepton_core::shutdown::Shutdown;
use lepton_mesh::server::limits::Limits;
use lepton_mesh::server::serve;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use tokio::sync::Semaphore;
use tonic::Status;

use super::{Traces, decode, size_guard};
use crate::config;
use error::ExportError;
use http::Encoding;

/// Connections: one for each instance, and some for other senders.
const CONNECTIONS_MAX: usize = 2_000;
/// Memory for messages being received, as a multiple of the largest one.
const READING_MAX: usize = 16;
/// Memory for decoding, for all messages together and thus for each, as a multiple of the largest message: usual spans
/// grow about as much.
const DECODING_MAX: usize = 8;
/// Unit in which memory is reserved.
const RESERVATION_BYTES: usize = 1_024;
/// Time limit for receiving a message.
const READING_TIME_MAX: Duration = Duration::from_secs(10);
/// Time limit of a drain for messages in flight.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);

/// OTLP receiver: memory reservations around a [`Traces`] store.
#[derive(Debug, Clone)]
pub(super) struct OtlpReceiver {
    traces: Traces,
    config: config::Otlp,
    /// Memory for messages being received.
    reading: Arc<Semaphore>,
    /// Memory for decoded messages.
    decoding: Arc<Semaphore>,
}

/// Serves until `shutdown`.
pub(crate) async fn run(
    listener: Listener,
    traces: Traces,
    config: config::Otlp,
    shutdown: Shutdown,
) -> io::Result<()> {
    let limits = Limits {
        connections_max: CONNECTIONS_MAX,
        drain_timeout: DRAIN_TIME_MAX,
        ..Limits::default()
    };
    serve(listener, router(OtlpReceiver::new(traces, config)), limits, shutdown).await
}

fn router(receiver: OtlpReceiver) -> Router {
    Router::new()
        .route("/v1/traces", post(http::export).fallback(http::method_not_allowed))
        .route(grpc::PATH, post(grpc::export))
        .fallback(not_found)
        .with_state(receiver.clone())
        .layer(from_fn_with_state(receiver, reserve))
}

/// Waits for memory to receive the message, up to a time limit.
async fn reserve(State(receiver): State<OtlpReceiver>, request: Request<Body>, next: Next) -> Response<Body> {
    let grpc = is_grpc(&request);
    let needed = received_bytes(request.headers(), receiver.config.message_bytes_max);
    let answered = async {
        let _reserved = receiver.reading.acquire_many(permits(needed)).await;
        next.run(request).await
    };
    let answered = tokio::time::timeout(READING_TIME_MAX, answered).await;
    answered.unwrap_or_else(|_| error_response(grpc, ExportError::Timeout))
}

/// Bytes of a message until it is decoded; a compressed one is counted in both forms.
fn received_bytes(headers: &HeaderMap, bytes_max: usize) -> usize {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let length = length.map_or(bytes_max, |length: usize| length.min(bytes_max));
    let packed = headers.contains_key(CONTENT_ENCODING) || headers.contains_key("grpc-encoding");
    if packed { length + bytes_max } else { length }
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(RESERVATION_BYTES)).unwrap_or(u32::MAX)
}

async fn not_found(request: Request<Body>) -> Response<Body> {
    let (grpc, path) = (is_grpc(&request), request.uri().path().to_owned());
    let error = if grpc {
        ExportError::UnknownMethod(path)
    } else {
        ExportError::UnknownPath(path)
    };
    error_response(grpc, error)
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).map(|value| value.as_bytes());
    kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

fn error_response(grpc: bool, error: ExportError) -> Response<Body> {
    if grpc {
        Status::from(error).into_http()
    } else {
        Encoding::Json.error(&error)
    }
}

impl OtlpReceiver {
    fn new(traces: Traces, config: config::Otlp) -> Self {
        let permits_of = |times: usize| {
            Arc::new(Semaphore::new(
                config.message_bytes_max.div_ceil(RESERVATION_BYTES) * times,
            ))
        };
        Self {
            traces,
            reading: permits_of(READING_MAX),
            decoding: permits_of(DECODING_MAX),
            config,
        }
    }

    /// Stores the usable spans of a message, and reports the others.
    async fn export(&self, encoding: Encoding, body: Bytes) -> Result<ExportTraceServiceResponse, ExportError> {
        let needed = match encoding {
            Encoding::Protobuf => size_guard::protobuf(&body),
            Encoding::Json => size_guard::json(&body),
        };
        let bytes_max = self.config.message_bytes_max * DECODING_MAX;
        if needed > bytes_max {
            return Err(ExportError::TooMuchMemory { needed, bytes_max });
        }
        let _reserved = self.decoding.acquire_many(permits(needed)).await;
        let request = encoding.decode(body)?;
        let message = decode::decode(request, self.config.message_spans_max);
        self.traces.count_rejected(message.rejected);
        self.traces.add(message.spans);
        let partial = (message.rejected > 0).then(|| ExportTracePartialSuccess {
            rejected_spans: i64::try_from(message.rejected).unwrap_or(i64::MAX),
            error_message: message.first_error.map_or_else(String::new, |error| error.to_string()),
        });
        Ok(ExportTraceServiceResponse {
            partial_success: partial,
        })
    }
}
