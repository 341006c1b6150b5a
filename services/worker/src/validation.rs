//! Validation of pushed files, as a gRPC service for gateways.

use bytes::Bytes;
use lepton_core::blob::{Area, Blobs};
use lepton_core::error::status;
use lepton_domain::reason::ApiError;
use lepton_proto::model::v1::Tensor;
use lepton_proto::worker::v1::model_host_service_server::ModelHostService;
use lepton_proto::worker::v1::{InspectModelRequest, InspectModelResponse};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::error::Error;
use crate::model::sandbox::{Sandbox, ValidationError};

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct ModelValidation {
    /// Sandbox that validates the files.
    pub(crate) sandbox: Sandbox,
    /// Store of the files, as soon as it is open.
    pub(crate) opened: watch::Receiver<Option<Blobs>>,
}

#[tonic::async_trait]
impl ModelHostService for ModelValidation {
    async fn inspect_model(
        &self,
        request: Request<InspectModelRequest>,
    ) -> Result<Response<InspectModelResponse>, Status> {
        let validated = self.validate(&request.get_ref().blob).await;
        validated
            .map(Response::new)
            .map_err(|error| status(&ApiError::from(error)))
    }
}

impl ModelValidation {
    async fn validate(&self, blob: &str) -> Result<InspectModelResponse, Error> {
        let file = self.fetch(blob).await?;
        let signature = self.sandbox.validate(file).await?;
        Ok(InspectModelResponse {
            inputs: signature.inputs.iter().map(Tensor::from).collect(),
            outputs: signature.outputs.iter().map(Tensor::from).collect(),
        })
    }

    async fn fetch(&self, blob: &str) -> Result<Bytes, Error> {
        let opened = self.opened.borrow().clone();
        let blobs = opened.ok_or(ValidationError::BlobStoreClosed)?;
        Ok(blobs.get_object(Area::Models, blob).await?)
    }
}
