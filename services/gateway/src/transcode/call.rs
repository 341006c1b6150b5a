//! Calls the gateway's own gRPC services in process, with encoded bytes.
//!
//! Promises: one mechanism for every RPC, the same code path as a gRPC client takes. Leaves JSON to its neighbours.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, header};
use lepton_domain::reason::ApiError;
use lepton_mesh::server::deadline::Deadline;
use tower::ServiceExt as _;

use crate::request::Caller;
use crate::request::error::UpstreamError;
use crate::request::grpc_framing::{self, MessageStream};

/// Starts a call with a message behind its prefix. Refusals that come before the first answer are errors here.
pub async fn start(
    grpc: Router,
    path: &str,
    caller: &Caller,
    deadline: Option<Deadline>,
    framed: Bytes,
) -> Result<MessageStream, ApiError> {
    let mut request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .body(Body::from(framed))
        .map_err(UpstreamError::from)?;
    request.extensions_mut().insert(caller.clone());
    if let Some(deadline) = deadline {
        request.extensions_mut().insert(deadline);
    }
    let Ok(response) = grpc.oneshot(request).await;
    Ok(grpc_framing::messages(response)?)
}
