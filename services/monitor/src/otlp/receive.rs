//! The listener for OTLP: gRPC and HTTP on one port, as both are HTTP.
//!
//! Promises: what is not a trace is refused with the protocol's own words; messages, and how many are read at once, are
//! limited. It makes no spans of its own: a receiver that traces what it receives never rests. Leaves keeping to `keep`.

mod http;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::CONTENT_TYPE;
use ::http::{Request, Response};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::middleware::{Next, from_fn_with_state};
use axum::routing::post;
use lepton_mesh::net::Listener;
use lepton_mesh::server::limits::Limits;
use lepton_mesh::server::{serve, stack::mount};
use lepton_mesh::shutdown::Shutdown;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::sync::Semaphore;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::{Code, Status};

use super::{Traces, read};
use crate::config;

/// Connections: one for each instance, and some for guests.
const CONNECTIONS_MAX: usize = 2_000;
/// Messages read at once. With the largest message it bounds the memory for what is not kept yet.
const READING_MAX: usize = 16;
/// How long a message may take to come.
const READING_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a shutdown waits for messages that are on their way.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);

/// Takes messages.
#[derive(Debug, Clone)]
pub(super) struct Receiver {
    traces: Traces,
    config: config::Otlp,
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
    serve(listener, router(Receiver { traces, config }), limits, shutdown).await
}

fn router(receiver: Receiver) -> Router {
    let service = TraceServiceServer::new(receiver.clone())
        .max_decoding_message_size(receiver.config.message_bytes_max)
        .accept_compressed(Gzip);
    let paths = Router::new()
        .route("/v1/traces", post(http::export).fallback(http::wrong_method))
        .with_state(receiver);
    let reading = Arc::new(Semaphore::new(READING_MAX));
    mount(paths, service)
        .fallback(unknown)
        .layer(from_fn_with_state(reading, one_of_few))
}

/// Lets so many messages be read at once, and none for too long.
async fn one_of_few(State(reading): State<Arc<Semaphore>>, request: Request<Body>, next: Next) -> Response<Body> {
    let grpc = is_grpc(&request);
    let answered = async {
        let _place = reading.acquire().await;
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
        http::Form::Json.refuse(code, message)
    }
}

impl Receiver {
    /// Keeps what can be used of a message, and says what cannot.
    fn take(&self, request: ExportTraceServiceRequest) -> ExportTraceServiceResponse {
        let message = read::read(request, self.config.message_spans_max);
        self.traces.refused(message.refused);
        self.traces.add(message.arrivals);
        let partial = (message.refused > 0).then(|| ExportTracePartialSuccess {
            rejected_spans: i64::try_from(message.refused).unwrap_or(i64::MAX),
            error_message: message.why,
        });
        ExportTraceServiceResponse {
            partial_success: partial,
        }
    }
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        Ok(tonic::Response::new(self.take(request.into_inner())))
    }
}
