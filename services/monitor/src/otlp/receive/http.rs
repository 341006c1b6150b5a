//! OTLP over HTTP: protobuf or JSON, plain or gzip.
//!
//! Promises: errors are a `google.rpc.Status` in the form of the request, as the protocol wants it; a small message that
//! unpacks to a large one is refused before it is whole.

use std::io::Read as _;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use flate2::read::GzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Request, Response, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message as _;
use tonic::Code;

use super::{Receiver, Refusal};
use crate::otlp::json;

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

/// `google.rpc.Status`, without details.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// Takes a message.
pub(super) async fn export(State(receiver): State<Receiver>, request: Request<Body>) -> Response<Body> {
    let Some(form) = Form::of(request.headers()) else {
        let message = "send application/x-protobuf or application/json";
        return Form::Json.answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, message);
    };
    let bytes_max = receiver.config.message_bytes_max;
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, bytes_max).await else {
        return form.too_large(bytes_max);
    };
    let body = match encoding(&head.headers) {
        "" | "identity" => body,
        "gzip" => match unpack(&body, bytes_max) {
            Ok(body) if body.len() <= bytes_max => body,
            Ok(_) => return form.too_large(bytes_max),
            Err(error) => return form.refuse(Code::InvalidArgument, &format!("the body is not gzip: {error}")),
        },
        other => {
            let message = format!("the encoding {other:?} is not known; send gzip or none");
            return form.answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, &message);
        }
    };
    match receiver.take(form, body).await {
        Ok(answer) => form.accept(&answer),
        Err(Refusal::Unreadable(why)) => form.refuse(Code::InvalidArgument, &why),
        Err(Refusal::TooLarge(why)) => form.answer(StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted, &why),
    }
}

pub(super) async fn wrong_method(request: Request<Body>) -> Response<Body> {
    let message = format!("/v1/traces does not take {}; use POST", request.method());
    Form::Json.answer(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, &message)
}

/// Unpacks up to one byte more than is allowed, which tells that there is too much.
fn unpack(body: &[u8], bytes_max: usize) -> std::io::Result<Bytes> {
    let mut unpacked = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    GzDecoder::new(body).take(limit).read_to_end(&mut unpacked)?;
    Ok(unpacked.into())
}

fn encoding(headers: &HeaderMap) -> &str {
    let text = headers.get(CONTENT_ENCODING).map(|value| value.to_str());
    text.unwrap_or(Ok("")).unwrap_or("unreadable").trim()
}

impl Form {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        match kind.split(';').next()?.trim() {
            "application/x-protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Decodes a message, of which it is known that there is room for it.
    pub(super) fn read(self, body: Bytes) -> Result<ExportTraceServiceRequest, String> {
        match self {
            Self::Protobuf => ExportTraceServiceRequest::decode(body)
                .map_err(|error| format!("the body is no ExportTraceServiceRequest: {error}")),
            Self::Json => {
                json::parse(&body).map_err(|error| format!("the body is no OTLP trace message in JSON: {error}"))
            }
        }
    }

    fn accept(self, answer: &ExportTraceServiceResponse) -> Response<Body> {
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

    fn too_large(self, bytes_max: usize) -> Response<Body> {
        let message = format!("the message has more than {bytes_max} bytes; send smaller batches");
        self.answer(StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted, &message)
    }

    /// An error with the status that fits its code.
    pub(super) fn refuse(self, code: Code, message: &str) -> Response<Body> {
        let status = match code {
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        self.answer(status, code, message)
    }

    fn answer(self, status: StatusCode, code: Code, message: &str) -> Response<Body> {
        let code = i32::from(code);
        let body = match self {
            Self::Protobuf => Status {
                code,
                message: message.to_owned(),
            }
            .encode_to_vec(),
            Self::Json => serde_json::json!({"code": code, "message": message})
                .to_string()
                .into_bytes(),
        };
        self.response(status, body)
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
