//! OTLP over HTTP: a message in protobuf, posted.
//!
//! Promises: errors are those that gRPC has for the same, so that both are tried again alike. A connection for each
//! message, of which there are few. Leaves time limits to `lane`.

use axum::body::{Body, to_bytes};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message as _;
use tonic::Status;
use tonic::metadata::MetadataMap;

use lepton_core::net::Net;

/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Posts a message to a receiver at `HOST:PORT`.
pub(super) async fn post(
    net: Net,
    address: &str,
    path: &str,
    headers: &MetadataMap,
    message: &ExportTraceServiceRequest,
) -> Result<ExportTraceServiceResponse, Status> {
    let broken = |error: &dyn std::fmt::Display| Status::unavailable(error.to_string());
    let unusable = |error: &dyn std::fmt::Display| Status::invalid_argument(error.to_string());
    let mut request = Request::new(Body::from(message.encode_to_vec()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = path.parse().map_err(|error| unusable(&error))?;
    *request.headers_mut() = headers.clone().into_headers();
    let host = HeaderValue::try_from(address).map_err(|error| unusable(&error))?;
    request.headers_mut().insert(HOST, host);
    let kind = HeaderValue::from_static("application/x-protobuf");
    request.headers_mut().insert(CONTENT_TYPE, kind);
    let stream = net.connect(address).await.map_err(|error| broken(&error))?;
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| broken(&error))?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let (head, body) = response.into_parts();
        let body = to_bytes(Body::new(body), ANSWER_BYTES_MAX).await;
        answer(head.status, &body.map_err(|error| broken(&error))?)
    };
    // The connection ends with the exchange, which tells what went wrong with it.
    let (_, answered) = tokio::join!(connection, exchange);
    answered
}

fn answer(status: StatusCode, body: &[u8]) -> Result<ExportTraceServiceResponse, Status> {
    let said = || format!("HTTP {status}");
    match status.as_u16() {
        // What a receiver says beside its yes is not needed.
        200..300 => Ok(ExportTraceServiceResponse::decode(body).unwrap_or_default()),
        // Those of which the protocol says that another attempt may help.
        429 | 502 | 503 | 504 => Err(Status::unavailable(said())),
        _ => Err(Status::failed_precondition(said())),
    }
}
