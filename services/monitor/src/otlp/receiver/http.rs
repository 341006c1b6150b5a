//! OTLP over HTTP: protobuf or JSON, plain or gzip.
//!
//! Promises: errors are a `google.rpc.Status` in the encoding of the request, as OTLP specifies; decompression stops at
//! the size limit. Not by `tower_http`'s `RequestDecompressionLayer`, which refuses an encoding without that status.

use std::io::Read as _;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use flate2::read::GzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Request, Response, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message as _;

use super::OtlpReceiver;
use super::error::ExportError;
use crate::otlp::json;

/// Encoding of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

/// `google.rpc.Status` without details.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// Handles a message.
pub(super) async fn export(State(receiver): State<OtlpReceiver>, request: Request<Body>) -> Response<Body> {
    let Some(encoding) = Encoding::from_headers(request.headers()) else {
        return Encoding::Json.error(&ExportError::ContentType);
    };
    let exported = async {
        let body = receive(request, receiver.config.message_bytes_max).await?;
        receiver.export(encoding, body).await
    };
    match exported.await {
        Ok(answer) => encoding.success(&answer),
        Err(error) => encoding.error(&error),
    }
}

/// Reads a body to its end, and decompresses it.
async fn receive(request: Request<Body>, bytes_max: usize) -> Result<Bytes, ExportError> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, bytes_max).await;
    let body = body.map_err(|_| ExportError::TooLarge { bytes_max })?;
    match content_encoding(&head.headers) {
        "" | "identity" => Ok(body),
        "gzip" => match decompress(&body, bytes_max).map_err(ExportError::Gzip)? {
            body if body.len() <= bytes_max => Ok(body),
            _ => Err(ExportError::TooLarge { bytes_max }),
        },
        other => Err(ExportError::ContentEncoding(other.to_owned())),
    }
}

pub(super) async fn method_not_allowed(request: Request<Body>) -> Response<Body> {
    Encoding::Json.error(&ExportError::HttpMethod(request.method().clone()))
}

/// Decompresses up to one byte beyond the limit, by which an excess is recognised.
fn decompress(body: &[u8], bytes_max: usize) -> std::io::Result<Bytes> {
    let mut unpacked = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    GzDecoder::new(body).take(limit).read_to_end(&mut unpacked)?;
    Ok(unpacked.into())
}

fn content_encoding(headers: &HeaderMap) -> &str {
    let text = headers.get(CONTENT_ENCODING).map(|value| value.to_str());
    text.unwrap_or(Ok("")).unwrap_or("unreadable").trim()
}

impl Encoding {
    fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        match kind.split(';').next()?.trim() {
            "application/x-protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Decodes a message. Memory for it must have been reserved ([`crate::otlp::size_guard`]).
    pub(super) fn decode(self, body: Bytes) -> Result<ExportTraceServiceRequest, ExportError> {
        Ok(match self {
            Self::Protobuf => ExportTraceServiceRequest::decode(body)?,
            Self::Json => json::parse(&body)?,
        })
    }

    fn success(self, answer: &ExportTraceServiceResponse) -> Response<Body> {
        let partial = answer.partial_success.as_ref();
        let body = match self {
            Self::Protobuf => answer.encode_to_vec(),
            Self::Json => match partial {
                None => b"{}".to_vec(),
                Some(partial) => serde_json::json!({"partialSuccess": {
                    "rejectedSpans": partial.rejected_spans.to_string(), "errorMessage": partial.error_message
                }})
                .to_string()
                .into_bytes(),
            },
        };
        self.response(StatusCode::OK, body)
    }

    /// Error response in this encoding.
    pub(super) fn error(self, error: &ExportError) -> Response<Body> {
        let (code, message) = (i32::from(error.code()), error.to_string());
        let body = match self {
            Self::Protobuf => Status { code, message }.encode_to_vec(),
            Self::Json => serde_json::json!({"code": code, "message": message})
                .to_string()
                .into_bytes(),
        };
        self.response(error.http_status(), body)
    }

    fn response(self, status: StatusCode, body: Vec<u8>) -> Response<Body> {
        let kind = match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
        response
    }
}
