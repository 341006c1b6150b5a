//! `lepton.model.v1.ModelService`. No model is kept by this version: the registry is empty, and a push is checked and
//! then refused.

use lepton_domain::reason::{Fault, Reason};
use lepton_mesh::error;
use lepton_proto::model::v1::model_service_server::ModelService;
use lepton_proto::model::v1::*;
use lepton_proto::validate;
use tonic::{Request, Response, Status};

mod onnx;

/// The service.
#[derive(Debug, Clone, Copy, Default)]
pub struct Models;

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ModelService for Models {
    async fn push_model(&self, request: Request<PushModelRequest>) -> Answer<PushModelResponse> {
        let PushModelRequest { name, content } = request.into_inner();
        let checked = async {
            // Without the file, which no rule is about.
            let named = PushModelRequest {
                name,
                ..Default::default()
            };
            validate::check_typed("lepton.model.v1.PushModelRequest", &named)?;
            onnx::check(&content)?;
            let message = "the file is a valid ONNX model, but this version does not keep models yet";
            Err(Fault::new(Reason::NotBuilt, message).with("model", named.name))
        };
        checked.await.map_err(|fault| error::status(&fault))
    }

    async fn list_models(&self, _: Request<ListModelsRequest>) -> Answer<ListModelsResponse> {
        Ok(Response::new(ListModelsResponse { models: Vec::new() }))
    }

    async fn get_model(&self, request: Request<GetModelRequest>) -> Answer<GetModelResponse> {
        Err(absent(&request.get_ref().name))
    }

    async fn deploy_model(&self, request: Request<DeployModelRequest>) -> Answer<DeployModelResponse> {
        Err(absent(&request.get_ref().name))
    }

    async fn undeploy_model(&self, request: Request<UndeployModelRequest>) -> Answer<UndeployModelResponse> {
        Err(absent(&request.get_ref().name))
    }

    async fn rollback_model(&self, request: Request<RollbackModelRequest>) -> Answer<RollbackModelResponse> {
        Err(absent(&request.get_ref().name))
    }

    async fn delete_model_version(
        &self,
        request: Request<DeleteModelVersionRequest>,
    ) -> Answer<DeleteModelVersionResponse> {
        Err(absent(&request.get_ref().name))
    }
}

fn absent(name: &str) -> Status {
    error::status(&not_found(name))
}

/// What callers are told about a model that is not there.
pub fn not_found(name: &str) -> Fault {
    Fault::new(Reason::ModelNotFound, format!("there is no model {name:?}")).with("model", name)
}
