//! `inference.GRPCInferenceService`. No model is served by this version, so every one is unknown.

use lepton_mesh::error;
use lepton_mesh::server::health::Readiness;
use lepton_proto::inference::grpc_inference_service_server::GrpcInferenceService;
use lepton_proto::inference::*;
use tonic::{Request, Response, Status};

use crate::models;

/// The name that inference clients are told.
pub const SERVER_NAME: &str = "lepton";

/// The service.
#[derive(Debug, Clone)]
pub struct Inference {
    readiness: Readiness,
}

impl Inference {
    /// Ready when the gateway is.
    pub fn new(readiness: Readiness) -> Self {
        Self { readiness }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl GrpcInferenceService for Inference {
    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Answer<ServerLiveResponse> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Answer<ServerReadyResponse> {
        Ok(Response::new(ServerReadyResponse {
            ready: self.readiness.is_ready(),
        }))
    }

    async fn model_ready(&self, _: Request<ModelReadyRequest>) -> Answer<ModelReadyResponse> {
        Ok(Response::new(ModelReadyResponse { ready: false }))
    }

    async fn server_metadata(&self, _: Request<ServerMetadataRequest>) -> Answer<ServerMetadataResponse> {
        let (name, version) = (SERVER_NAME.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        Ok(Response::new(ServerMetadataResponse {
            name,
            version,
            extensions: Vec::new(),
        }))
    }

    async fn model_metadata(&self, request: Request<ModelMetadataRequest>) -> Answer<ModelMetadataResponse> {
        Err(absent(&request.get_ref().name))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Answer<ModelInferResponse> {
        Err(absent(&request.get_ref().model_name))
    }
}

fn absent(name: &str) -> Status {
    error::status(&models::not_found(name))
}
