//! The listener for OTLP: gRPC and HTTP on one port, as both are HTTP.
//!
//! Promises: what is not a trace is refused with the protocol's own words; messages, and how many are read at once, are
//! limited. It makes no spans of its own: a receiver that traces what it receives never rests. Leaves keeping to `keep`.

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
use tonic::{Code, Status};

use super::{Traces, measure, read};
use crate::config;
use http::Form;

/// Connections: one for each instance, and some for guests.
const CONNECTIONS_MAX: usize = 2_000;
/// So many of the largest messages are read at once, or more smaller ones of the same length together.
const READING_MAX: usize = 16;
/// What messages may take while they are decoded, all together and thus each, in the length of the largest message:
/// usual spans grow about as much.
const DECODING_MAX: usize = 8;
/// Room is given out in pieces of this size.
const PIECE_BYTES: usize = 1_024;
/// How long a message may take to come.
const READING_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a shutdown waits for messages that are on their way.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);

/// Takes messages.
#[derive(Debug, Clone)]
pub(super) struct Receiver {
    traces: Traces,
    config: config::Otlp,
    /// Room for messages as they come.
    reading: Arc<Semaphore>,
    /// Room for what is made of them.
    decoding: Arc<Semaphore>,
}

/// Why a message is not taken.
#[derive(Debug)]
enum Refusal {
    /// It is no message of the protocol.
    Unreadable(String),
    /// It is too long, or too much is in it.
    TooLarge(String),
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
    serve(listener, router(Receiver::new(traces, config)), limits, shutdown).await
}

fn router(receiver: Receiver) -> Router {
    Router::new()
        .route("/v1/traces", post(http::export).fallback(http::wrong_method))
        .route(grpc::PATH, post(grpc::export))
        .fallback(unknown)
        .with_state(receiver.clone())
        .layer(from_fn_with_state(receiver, as_room_allows))
}

/// Lets in what there is room for, and nothing for too long.
async fn as_room_allows(State(receiver): State<Receiver>, request: Request<Body>, next: Next) -> Response<Body> {
    let grpc = is_grpc(&request);
    let needed = room(request.headers(), receiver.config.message_bytes_max);
    let answered = async {
        let _room = receiver.reading.acquire_many(pieces(needed)).await;
        next.run(request).await
    };
    let late = |_| {
        refuse(
            grpc,
            Code::Unavailable,
            "the message did not come in time; send it again",
        )
    };
    tokio::time::timeout(READING_TIME_MAX, answered)
        .await
        .unwrap_or_else(late)
}

/// The bytes that a request may take until it is decoded: a packed one also unpacked.
fn room(headers: &HeaderMap, bytes_max: usize) -> usize {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let length = length.map_or(bytes_max, |length: usize| length.min(bytes_max));
    let packed = headers.contains_key(CONTENT_ENCODING) || headers.contains_key("grpc-encoding");
    if packed { length + bytes_max } else { length }
}

fn pieces(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX)
}

async fn unknown(request: Request<Body>) -> Response<Body> {
    let message = format!(
        "{} is not taken here: this receiver takes traces, over gRPC or at /v1/traces; send other signals elsewhere",
        request.uri().path()
    );
    let grpc = is_grpc(&request);
    refuse(grpc, if grpc { Code::Unimplemented } else { Code::NotFound }, &message)
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).map(|value| value.as_bytes());
    kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

fn refuse(grpc: bool, code: Code, message: &str) -> Response<Body> {
    if grpc {
        Status::new(code, message).into_http()
    } else {
        Form::Json.refuse(code, message)
    }
}

impl Receiver {
    fn new(traces: Traces, config: config::Otlp) -> Self {
        let room = |times: usize| Arc::new(Semaphore::new(config.message_bytes_max.div_ceil(PIECE_BYTES) * times));
        Self {
            traces,
            reading: room(READING_MAX),
            decoding: room(DECODING_MAX),
            config,
        }
    }

    /// Keeps what can be used of a message, and says what cannot.
    async fn take(&self, form: Form, body: Bytes) -> Result<ExportTraceServiceResponse, Refusal> {
        let needed = match form {
            Form::Protobuf => measure::protobuf(&body),
            Form::Json => measure::json(&body),
        };
        let decoding_max = self.config.message_bytes_max * DECODING_MAX;
        if needed > decoding_max {
            let message = format!(
                "the message would take {needed} bytes in memory, and {decoding_max} at most are given; send fewer spans at a time"
            );
            return Err(Refusal::TooLarge(message));
        }
        let _room = self.decoding.acquire_many(pieces(needed)).await;
        let request = form.read(body).map_err(Refusal::Unreadable)?;
        let message = read::read(request, self.config.message_spans_max);
        self.traces.refused(message.refused);
        self.traces.add(message.arrivals);
        let partial = (message.refused > 0).then(|| ExportTracePartialSuccess {
            rejected_spans: i64::try_from(message.refused).unwrap_or(i64::MAX),
            error_message: message.why,
        });
        Ok(ExportTraceServiceResponse {
            partial_success: partial,
        })
    }
}
