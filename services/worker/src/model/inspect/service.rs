//! The gRPC service that gateways ask about files that clients push.

use bytes::Bytes;
use lepton_core::blob::{Area, Blobs};
use lepton_core::error::status;
use lepton_domain::model::Tensor;
use lepton_domain::reason::{Fault, Reason};
use lepton_proto::model::v1 as wire;
use lepton_proto::worker::v1::model_host_service_server::ModelHostService;
use lepton_proto::worker::v1::{InspectModelRequest, InspectModelResponse};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::Inspector;

/// The service.
#[derive(Debug, Clone)]
pub struct ModelHost {
    /// What looks at files.
    pub inspector: Inspector,
    /// Where they lie, as soon as it is open.
    pub opened: watch::Receiver<Option<Blobs>>,
}

#[tonic::async_trait]
impl ModelHostService for ModelHost {
    async fn inspect_model(
        &self,
        request: Request<InspectModelRequest>,
    ) -> Result<Response<InspectModelResponse>, Status> {
        let inspected = self.inspect(&request.get_ref().blob).await;
        inspected.map(Response::new).map_err(|fault| status(&fault))
    }
}

impl ModelHost {
    async fn inspect(&self, blob: &str) -> Result<InspectModelResponse, Fault> {
        let file = self.file(blob).await?;
        let signature = self.inspector.inspect(file).await?;
        Ok(InspectModelResponse {
            inputs: signature.inputs.iter().map(tensor).collect(),
            outputs: signature.outputs.iter().map(tensor).collect(),
        })
    }

    async fn file(&self, blob: &str) -> Result<Bytes, Fault> {
        let opened = self.opened.borrow().clone();
        let closed = || {
            let message = "this worker has not opened the blob store yet; try again shortly";
            Fault::new(Reason::BlobUnavailable, message)
        };
        opened.ok_or_else(closed)?.get_object(Area::Models, blob).await
    }
}

fn tensor(tensor: &Tensor) -> wire::Tensor {
    wire::Tensor {
        name: tensor.name.clone(),
        datatype: tensor.datatype.as_str().to_owned(),
        shape: tensor.shape.clone(),
    }
}
