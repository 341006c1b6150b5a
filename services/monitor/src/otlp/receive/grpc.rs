//! OTLP over gRPC.
//!
//! Promises: messages come as bytes, and are decoded where it is known that there is room for them; the generated
//! service would decode them first.

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

use super::http::Form;
use super::{Receiver, Refusal};

/// The only method.
pub(super) const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Takes a message.
pub(super) async fn export(State(receiver): State<Receiver>, request: Request<Body>) -> Response<Body> {
    let mut grpc = Grpc::new(Raw)
        .accept_compressed(Gzip)
        .max_decoding_message_size(receiver.config.message_bytes_max);
    grpc.unary(Export(receiver), request).await.map(Body::new)
}

struct Export(Receiver);

impl UnaryService<Bytes> for Export {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<tonic::Response<Bytes>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let receiver = self.0.clone();
        let taken = async move {
            let answer = receiver.take(Form::Protobuf, request.into_inner()).await?;
            Ok(tonic::Response::new(answer.encode_to_vec().into()))
        };
        taken.boxed()
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unreadable(why) => Self::invalid_argument(why),
            Refusal::TooLarge(why) => Self::resource_exhausted(why),
        }
    }
}
