//! `lepton.analysis.v1.AnalysisService` over gRPC: requests and answers pass as bytes, rows are never decoded here.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::{Buf as _, BufMut as _, Bytes};
use http::{Request, Response};
use lepton_mesh::error;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, UnaryService};

use super::analyze::{Online, PATH};

/// The service. Its only method is [`PATH`].
#[derive(Debug, Clone)]
pub struct AnalysisServer {
    online: Online,
    bytes_max: usize,
}

impl AnalysisServer {
    /// Takes requests of at most so many bytes.
    pub fn new(online: Online, bytes_max: usize) -> Self {
        Self { online, bytes_max }
    }
}

impl NamedService for AnalysisServer {
    const NAME: &'static str = "lepton.analysis.v1.AnalysisService";
}

impl tower::Service<Request<Body>> for AnalysisServer {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Self { online, bytes_max } = self.clone();
        Box::pin(async move {
            if request.uri().path() != PATH {
                return Ok(Status::unimplemented("").into_http());
            }
            let mut grpc = Grpc::new(Raw)
                .max_decoding_message_size(bytes_max)
                .accept_compressed(tonic::codec::CompressionEncoding::Gzip);
            Ok(grpc.unary(Analyze(online), request).await)
        })
    }
}

struct Analyze(Online);

impl UnaryService<Bytes> for Analyze {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let online = self.0.clone();
        Box::pin(async move {
            let deadline = request.extensions().get().copied();
            let answer = online.analyze_encoded(request.into_inner(), deadline).await;
            answer.map(tonic::Response::new).map_err(|fault| error::status(&fault))
        })
    }
}

/// Messages as the bytes that they are.
#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}
