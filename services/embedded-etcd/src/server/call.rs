//! One gRPC call: from an HTTP request to a handler and back, with etcd's limits.

use crate::rpc_error::RpcError;
use bytes::Bytes;
use futures::Stream;
use http::{Request, Response};
use std::future::{Future, Ready, ready};
use tonic::{Code, Status, Streaming, body::Body, server::Grpc};
use tonic_prost::ProstCodec;

/// The largest accepted message: etcd's request limit and the overhead of gRPC.
const MESSAGE_BYTES_MAX: usize = crate::check::REQUEST_BYTES_MAX + 512 * 1024;

/// Beginning of tonic's message about a larger one. Its code, OUT_OF_RANGE, means a compacted revision to an etcd client.
const TOO_LONG: &str = "Error, decoded message length too large";

/// Answers one message with one message.
pub(super) async fn unary<Q, A, F>(request: Request<Body>, handler: impl Fn(Q) -> F + Send + Sync) -> Response<Body>
where
    Q: prost::Message + Default + 'static,
    A: prost::Message + 'static,
    F: Future<Output = Result<A, RpcError>> + Send,
{
    let service = tower::service_fn(|request: tonic::Request<Q>| {
        let answer = handler(request.into_inner());
        async move { Ok(tonic::Response::new(answer.await?)) }
    });
    let codec = ProstCodec::<A, Q>::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(MESSAGE_BYTES_MAX);
    recode(grpc.unary(service, request).await)
}

/// Answers a stream with a stream.
pub(super) async fn streaming<Q, A, S>(
    request: Request<Body>,
    handler: impl Fn(Streaming<Q>) -> S + Send + Sync,
) -> Response<Body>
where
    Q: prost::Message + Default + 'static,
    A: prost::Message + 'static,
    S: Stream<Item = Result<A, Status>> + Send + 'static,
{
    let service = tower::service_fn(|request: tonic::Request<Streaming<Q>>| -> Ready<Result<_, Status>> {
        ready(Ok(tonic::Response::new(handler(request.into_inner()))))
    });
    let codec = ProstCodec::<A, Q>::default();
    Grpc::new(codec)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .streaming(service, request)
        .await
}

/// Refuses a call without reading it.
pub(super) fn refuse(error: RpcError) -> Response<Body> {
    Status::from(error).into_http()
}

/// The answer for a path that this server does not know, as grpc-go gives it.
pub(super) fn unknown() -> Response<Body> {
    Status::unimplemented("unknown service or method").into_http()
}

fn recode(response: Response<Body>) -> Response<Body> {
    let too_long = Status::from_header_map(response.headers())
        .filter(|status| status.code() == Code::OutOfRange && status.message().starts_with(TOO_LONG));
    match too_long {
        Some(_) => {
            let message = format!("grpc: received message larger than max (limit {MESSAGE_BYTES_MAX})");
            Status::with_details(Code::ResourceExhausted, message, Bytes::new()).into_http()
        }
        None => response,
    }
}
