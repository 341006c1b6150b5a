//! Errors of the OTLP receiver.
//!
//! Promises: one gRPC code and one HTTP status for each error, decided here.

use std::io;

use http::{Method, StatusCode};
use tonic::{Code, Status};

/// Rejection of a message, converted to a [`Status`].
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    /// Neither protobuf nor JSON by its content type.
    #[error("send application/x-protobuf or application/json")]
    ContentType,
    /// Compressed by an unknown method.
    #[error("the encoding {0:?} is not known; send gzip or none")]
    ContentEncoding(String),
    /// Not compressed as its header states.
    #[error("the body is not gzip: {0}")]
    Gzip(#[source] io::Error),
    /// Not a message of the protocol, in protobuf.
    #[error("the body is no ExportTraceServiceRequest: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// Not a message of the protocol, in JSON.
    #[error("the body is no OTLP trace message in JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Larger than the limit, or larger once decompressed.
    #[error("the message has more than {bytes_max} bytes; send smaller batches")]
    TooLarge {
        /// Limit in bytes.
        bytes_max: usize,
    },
    /// Beyond the memory limit once decoded.
    #[error(
        "the message would take {needed} bytes in memory, and {bytes_max} at most are given; send fewer spans at a time"
    )]
    TooMuchMemory {
        /// Bytes needed, by [`crate::otlp::size_guard`].
        needed: usize,
        /// Limit in bytes.
        bytes_max: usize,
    },
    /// Not received within the time limit.
    #[error("the message did not come in time; send it again")]
    Timeout,
    /// HTTP path of another signal, or of nothing.
    #[error(
        "{0} is not taken here: this receiver takes traces, over gRPC or at /v1/traces; send other signals elsewhere"
    )]
    UnknownPath(String),
    /// gRPC method of another signal, or of nothing.
    #[error(
        "{0} is not taken here: this receiver takes traces, over gRPC or at /v1/traces; send other signals elsewhere"
    )]
    UnknownMethod(String),
    /// HTTP method other than POST.
    #[error("/v1/traces does not take {0}; use POST")]
    HttpMethod(Method),
}

impl ExportError {
    /// Code in the `google.rpc.Status` of the response.
    pub fn code(&self) -> Code {
        match self {
            Self::ContentType | Self::ContentEncoding(_) | Self::Gzip(_) | Self::Protobuf(_) | Self::Json(_) => {
                Code::InvalidArgument
            }
            Self::TooLarge { .. } | Self::TooMuchMemory { .. } => Code::ResourceExhausted,
            Self::Timeout => Code::Unavailable,
            Self::UnknownPath(_) => Code::NotFound,
            Self::UnknownMethod(_) | Self::HttpMethod(_) => Code::Unimplemented,
        }
    }

    /// Status of the response over HTTP.
    pub fn http_status(&self) -> StatusCode {
        match self {
            Self::ContentType | Self::ContentEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Gzip(_) | Self::Protobuf(_) | Self::Json(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } | Self::TooMuchMemory { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            Self::UnknownPath(_) | Self::UnknownMethod(_) => StatusCode::NOT_FOUND,
            Self::HttpMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
        }
    }
}

impl From<ExportError> for Status {
    fn from(error: ExportError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
