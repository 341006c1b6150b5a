//! OTLP over gRPC.
//!
//! Promises: messages arrive as bytes, and are decoded only once memory is reserved for them; the generated service
//! would decode them first.

use axum::body::{Body, Bytes};
use axum::extract::State;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Request, Response};
use lepton_mesh::server::raw::Raw;
use prost::Message as _;
use tonic::Status;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::server::{Grpc, UnaryService};

use super::OtlpReceiver;
use super::http::Encoding;

/// Path of the only method.
pub(super) const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Handles a message.
pub(super) async fn export(State(receiver): State<OtlpReceiver>, request: Request<Body>) -> Response<Body> {
    let mut grpc = Grpc::new(Raw)
        .accept_compressed(Gzip)
        .max_decoding_message_size(receiver.config.message_bytes_max);
    grpc.unary(Export(receiver), request).await.map(Body::new)
}

struct Export(OtlpReceiver);

impl UnaryService<Bytes> for Export {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<tonic::Response<Bytes>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let receiver = self.0.clone();
        let taken = async move {
            let answer = receiver.export(Encoding::Protobuf, request.into_inner()).await?;
            Ok(tonic::Response::new(answer.encode_to_vec().into()))
        };
        taken.boxed()
    }
}
