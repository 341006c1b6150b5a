//! gRPC services whose messages pass as bytes: what has to be decoded, the service decodes.
//!
//! Promises: what a server of `tonic-build` does, except for decoding, which that does for every message. Leaves the methods
//! to [`Bytewise`] services.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use lepton_core::error;
use lepton_domain::reason::ApiError;
use lepton_mesh::server::deadline::Deadline;
use lepton_mesh::server::raw::Raw;
use tonic::Status;
use tonic::server::{Grpc, NamedService, UnaryService};

use super::error::ProxyError;
use crate::request::Caller;
use crate::request::unary::answer;

/// A service of unary RPCs.
pub trait Bytewise: Clone + Send + Sync + 'static {
    /// Its full name.
    const NAME: &'static str;
    /// Its RPCs.
    const METHODS: &'static [&'static str];

    /// Answers one of its RPCs, encoded as asked.
    fn answer(
        &self,
        caller: &Caller,
        method: &str,
        request: Bytes,
        deadline: Option<Deadline>,
    ) -> impl Future<Output = Result<Bytes, ApiError>> + Send;
}

/// Serves such a service.
#[derive(Debug, Clone)]
pub struct Server<S> {
    service: S,
    bytes_max: usize,
}

impl<S> Server<S> {
    /// Takes requests of at most so many bytes.
    pub fn new(service: S, bytes_max: usize) -> Self {
        Self { service, bytes_max }
    }
}

impl<S: Bytewise> NamedService for Server<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Bytewise> tower::Service<Request<Body>> for Server<S> {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Self { service, bytes_max } = self.clone();
        Box::pin(async move {
            let asked = request.uri().path().rsplit('/').next().unwrap_or_default();
            let Some(method) = S::METHODS.iter().find(|method| **method == asked) else {
                return Ok(error::status(&unknown::<S>(asked)).into_http());
            };
            let mut grpc = Grpc::new(Raw)
                .max_decoding_message_size(bytes_max)
                .accept_compressed(tonic::codec::CompressionEncoding::Gzip);
            Ok(grpc.unary(Method { service, method }, request).await)
        })
    }
}

/// The refusal of a method that peers have and this service does not, with those that it has.
fn unknown<S: Bytewise>(method: &str) -> ApiError {
    let error = ProxyError::NoMethod {
        service: S::NAME,
        method: method.to_owned(),
        known: S::METHODS.join(", "),
    };
    error.into()
}

/// One RPC of a service.
struct Method<S> {
    service: S,
    method: &'static str,
}

impl<S: Bytewise> UnaryService<Bytes> for Method<S> {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let (service, method) = (self.service.clone(), self.method);
        Box::pin(async move {
            let deadline = request.extensions().get().copied();
            answer(request, async |caller, request| {
                service.answer(&caller, method, request, deadline).await
            })
            .await
        })
    }
}
