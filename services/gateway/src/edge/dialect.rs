//! The dialects of the one port: gRPC, gRPC-Web, REST and the Open Inference Protocol.
//!
//! Promises: a request's dialect is decided once, before any layer, and travels among its extensions; each dialect has the form
//! in which its callers read errors. Leaves what is asked for to [`super::router`].

use axum::body::Body;
use http::{HeaderValue, Request, Response, header};
use lepton_core::error;
use lepton_domain::reason::{ApiError, Reason};
use lepton_mesh::server::refusal::{ErrorForm, grpc_form};

use super::grpc_web;
use crate::v2;

/// The protocol that a caller speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// gRPC over HTTP/2.
    Grpc,
    /// gRPC-Web: trailers are part of the body.
    GrpcWeb,
    /// gRPC-Web in base64, for browsers that know text only.
    GrpcWebText,
    /// JSON by the rules of `google.api.http`, and the fixed pages.
    Rest,
    /// REST of the Open Inference Protocol.
    V2,
}

impl Dialect {
    /// Decides the dialect of a request that has just come, and notes it among its extensions.
    pub fn note<B>(mut request: Request<B>) -> Request<B> {
        let dialect = Self::decide(&request);
        request.extensions_mut().insert(dialect);
        request
    }

    /// The dialect of a request.
    pub fn of<B>(request: &Request<B>) -> Self {
        // Absent only where no stack is around the router, as in tests.
        let noted = request.extensions().get().copied();
        noted.unwrap_or_else(|| Self::decide(request))
    }

    /// The form of errors for the caller of a request.
    pub fn error_form(request: &Request<Body>) -> ErrorForm {
        match Self::of(request) {
            Self::Grpc => grpc_form,
            Self::GrpcWeb => grpc_web::binary_form,
            Self::GrpcWebText => grpc_web::text_form,
            Self::Rest => rest_form,
            Self::V2 => v2_form,
        }
    }

    fn decide<B>(request: &Request<B>) -> Self {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.map_or(&b""[..], HeaderValue::as_bytes);
        match kind {
            kind if kind.starts_with(b"application/grpc-web-text") => Self::GrpcWebText,
            kind if kind.starts_with(b"application/grpc-web") => Self::GrpcWeb,
            kind if kind.starts_with(b"application/grpc") => Self::Grpc,
            _ if v2::serves(request.uri().path()) => Self::V2,
            _ => Self::Rest,
        }
    }
}

fn rest_form(error: &ApiError) -> Response<Body> {
    with_allow(error, error::rest(error))
}

fn v2_form(error: &ApiError) -> Response<Body> {
    with_allow(error, error::v2(error))
}

/// HTTP wants the methods that are allowed in a header of a 405.
fn with_allow(error: &ApiError, mut response: Response<Body>) -> Response<Body> {
    let allow = error.metadata.get("allow");
    let allow = allow.filter(|_| error.reason == Reason::MethodNotAllowed);
    if let Some(allow) = allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialect_is_known_by_content_type_and_path() {
        let cases = [
            ("/x.Y/Z", "application/grpc", Dialect::Grpc),
            ("/x.Y/Z", "application/grpc+proto", Dialect::Grpc),
            ("/x.Y/Z", "application/grpc-web+proto", Dialect::GrpcWeb),
            (
                "/x.Y/Z",
                "application/grpc-web-text; charset=utf-8",
                Dialect::GrpcWebText,
            ),
            ("/v2", "", Dialect::V2),
            ("/v2/models/m/infer", "application/json", Dialect::V2),
            ("/v2x", "application/json", Dialect::Rest),
            ("/api/v1/tasks", "application/json", Dialect::Rest),
        ];
        for (path, kind, dialect) in cases {
            let request = Request::post(path).header(header::CONTENT_TYPE, kind);
            let mut request = Dialect::note(request.body(()).expect("a request"));
            assert_eq!(Dialect::of(&request), dialect, "{path} {kind}");
            // It is decided once.
            request.headers_mut().clear();
            assert_eq!(Dialect::of(&request), dialect, "{path} {kind}");
        }
    }
}
