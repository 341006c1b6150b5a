//! REST for every RPC that has a `google.api.http` rule, by way of its messages' descriptors.
//!
//! Promises: no code per RPC; the answer over REST is the answer over gRPC. Leaves rows and task payloads, which must
//! not pass through a tree, to `online` and `tasks`.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::Response;
use lepton_domain::reason::ApiError;
use lepton_mesh::server::deadline::Deadline;

use self::path::Fields;
use self::table::Binding;
use crate::request::idempotency_key::IdempotencyKey;
use crate::request::{Caller, grpc_framing};

pub mod call;
pub mod json_error;
pub mod openapi;
pub mod path;
pub mod request;
pub mod response;
pub mod table;
pub mod url;

/// A REST request whose binding has been found.
#[derive(Debug)]
pub struct Bound<'a> {
    /// The binding.
    pub binding: &'a Binding,
    /// Its caller.
    pub caller: &'a Caller,
    /// The fields in its path.
    pub path: Fields<'a>,
    /// Its query, undecoded.
    pub query: Option<&'a str>,
    /// Idempotency key of its submits that have no request id.
    pub key: Option<IdempotencyKey<'a>>,
    /// Its deadline.
    pub deadline: Option<Deadline>,
}

/// Calls the RPC of a request and gives its answer as REST.
pub async fn serve(grpc: Router, bound: Bound<'_>, body: Bytes) -> Result<Response<Body>, ApiError> {
    let Bound {
        binding,
        caller,
        path,
        query,
        key: _,
        deadline,
    } = bound;
    let message = request::message(binding, &path, query, &body)?;
    // Encoded from here on: the JSON must not lie in memory beside it for the length of the call.
    drop(body);
    let framed = grpc_framing::framed(&message);
    drop(message);
    let answers = call::start(grpc, &binding.rpc_path(), caller, deadline, framed).await?;
    match binding.rpc.is_server_streaming() {
        true => response::stream(binding, answers).await,
        false => response::unary(binding, answers.only().await?).await,
    }
}
