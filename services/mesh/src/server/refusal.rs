//! Refusals: how a layer or a handler declines a request, and the one place where that becomes an answer.
//!
//! Promises: whoever refuses gives an [`ApiError`] and need not know which protocol its caller speaks; errors of libraries, which
//! answer without details, get the reason and the details that ours have. Leaves the forms to [`lepton_core::error`], and the
//! choice among them to the service, which alone knows its dialects. Written in a layer of our own: `tower`'s `map_response` does
//! not see the request, whose content type and path choose the form.

use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use lepton_core::error;
use lepton_domain::reason::{ApiError, Code, Reason};
use tonic::Status;

/// Present when a response explains itself.
const DETAILS: &str = "grpc-status-details-bin";
/// Present when a response has ended already.
const GRPC_STATUS: &str = "grpc-status";

/// An error as a response in one dialect.
pub type ErrorForm = fn(&ApiError) -> Response<Body>;
/// Chooses the form in which the caller of a request reads errors.
pub type FormOf = fn(&Request<Body>) -> ErrorForm;

/// An error among a response's extensions, which [`map_status`] writes in the caller's form.
#[derive(Clone, Debug)]
pub struct Refused(pub ApiError);

/// Marks the responses of a protocol whose errors are its own, such as `grpc.health.v1`: they pass as they are.
#[derive(Clone, Copy, Debug)]
pub struct ProtocolErrors;

/// The refusal of a request, in no form yet.
pub fn refuse(error: impl Into<ApiError>) -> Response<Body> {
    let error = error.into();
    let mut response = Response::new(Body::empty());
    let status = StatusCode::from_u16(error.reason.http_status());
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.extensions_mut().insert(Refused(error));
    response
}

/// The form of services that speak gRPC and plain HTTP: a status for the one, a JSON body for the other.
pub fn form_by_content_type(request: &Request<Body>) -> ErrorForm {
    if is_grpc(request) { grpc_form } else { error::rest }
}

/// An error as a gRPC response that consists of its status only.
pub fn grpc_form(error: &ApiError) -> Response<Body> {
    error::status(error).into_http()
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Recognises an answer whose head shows that the service, or one behind it, failed.
pub fn is_failure(response: &Response<Body>) -> bool {
    let of_grpc = code(response.headers()).map(Code::http_status);
    of_grpc.unwrap_or(response.status().as_u16()) >= 500
}

/// The code of a gRPC answer, in its headers or trailers.
pub(super) fn code(headers: &HeaderMap) -> Option<Code> {
    let number = headers.get(GRPC_STATUS)?.to_str().ok()?.parse().ok()?;
    Some(Code::from_number(number).unwrap_or(Code::Unknown))
}

/// Writes refusals in their callers' form, which `form_of` chooses.
pub async fn map_status(State(form_of): State<FormOf>, request: Request<Body>, next: Next) -> Response<Body> {
    let (form, grpc, uri) = (form_of(&request), is_grpc(&request), request.uri().clone());
    mapped(next.run(request).await, form, grpc, &uri)
}

fn mapped(mut response: Response<Body>, form: ErrorForm, grpc: bool, uri: &Uri) -> Response<Body> {
    if let Some(Refused(error)) = response.extensions_mut().remove::<Refused>() {
        return written(form, &error, response);
    }
    if !grpc || response.extensions().get::<ProtocolErrors>().is_some() || response.headers().contains_key(DETAILS) {
        return response;
    }
    match library_error(&response, uri) {
        Some(error) => written(form, &error, response),
        None => response,
    }
}

/// The error in its form. What the layers below have added stays: headers that do not describe the body, such as those that let
/// a page read the answer, and notes about the request, such as its route.
fn written(form: ErrorForm, error: &ApiError, refused: Response<Body>) -> Response<Body> {
    let mut response = form(error);
    let (head, _) = refused.into_parts();
    let mut added = head.headers;
    for name in response.headers().keys().chain([&CONTENT_TYPE, &CONTENT_LENGTH]) {
        added.remove(name);
    }
    response.headers_mut().extend(added);
    response.extensions_mut().extend(head.extensions);
    response.extensions_mut().insert(error.reason);
    response
}

/// The error of an answer that the gRPC library or a router made by itself.
fn library_error(response: &Response<Body>, uri: &Uri) -> Option<ApiError> {
    let unknown_method = || {
        let message = format!("{} is not a method of this server", uri.path());
        ApiError::new(Reason::MethodNotAllowed, message)
    };
    if !response.headers().contains_key(GRPC_STATUS) {
        // An answer without a status is a stream, or a page of a router that knows no gRPC.
        let unknown = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&response.status());
        return unknown.then(unknown_method);
    }
    match Status::from_header_map(response.headers())? {
        status if status.code() == tonic::Code::Ok => None,
        status if status.code() == tonic::Code::Unimplemented && status.message().is_empty() => Some(unknown_method()),
        status => Some(error::from_status(&status)),
    }
}
