//! `lepton.model.v1.ModelService`: the registry of models over gRPC and REST.
//!
//! Promises: reads are of etcd itself, so two gateways agree; states are those that the workers reported last. Leaves decisions to
//! `domain::model`, keeping to `lepton-models`, and running models to the workers.

use lepton_coordination::registry::Directory;
use lepton_domain::ids::Tenant;
use lepton_domain::model::{Change, Model as Kept, check_name, not_found};
use lepton_domain::reason::ApiError;
use lepton_models::Models as Registry;
use lepton_proto::model::v1::model_service_server::ModelService;
use lepton_proto::model::v1::*;
use lepton_proto::page::{Listing, PageRequest};
use lepton_proto::validate;
use tonic::Request;
use tracing::Instrument as _;

use self::error::PushError;
use crate::request::Caller;
use crate::request::unary::{Answer, answer};
use crate::tasks::payloads::Payloads;

pub use self::error::RoutingError;
pub use import::Import;
pub use push::Intake;
pub use routing::Routing;

pub mod config;
mod error;
mod import;
pub mod placement_view;
mod push;
mod routing;
mod show;
pub mod sweep;
#[cfg(test)]
mod tests;

/// The service.
#[derive(Debug, Clone)]
pub struct Models {
    /// The registered models.
    pub registry: Registry,
    /// The intake of pushed files.
    pub intake: Intake,
    /// The choice of workers, see [`Routing`].
    pub routing: Routing,
    /// The workers, as they are registered.
    pub workers: Directory,
    /// The blob store.
    pub store: Payloads,
    /// Limits.
    pub config: config::ModelsConfig,
}

/// Makes a change to its end, also when its caller has gone: what it is made of belongs together.
async fn whole<T: Send + 'static>(
    change: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    let ended = tokio::spawn(change.in_current_span()).await;
    ended.unwrap_or_else(|panic| Err(PushError::BrokeOff(panic.to_string()).into()))
}

impl Models {
    fn show(&self, model: &Kept) -> Option<Model> {
        Some(show::model(model, &self.routing.build_view()))
    }

    async fn push(&self, _caller: &Caller, request: PushModelRequest) -> Result<PushModelResponse, ApiError> {
        let PushModelRequest { name, content } = request;
        let (model, number, _) = self.intake.push(&name, content, None).await?;
        let version = model.version(number);
        let version = version.map(|version| show::version(&model, version, &self.routing.build_view()));
        Ok(PushModelResponse { version })
    }

    async fn list(&self, _caller: &Caller, request: &ListModelsRequest) -> Result<ListModelsResponse, ApiError> {
        validate::check_typed("lepton.model.v1.ListModelsRequest", request)?;
        let listing = Listing::new("ListModels", &[]);
        let request = PageRequest::new(listing, request.page_size, &request.page_token)?;
        let (models, view) = (self.registry.list().await?, self.routing.build_view());
        let page = request.cut(models, |model| model.name.clone());
        let page = page.map(|model| show::model(&model, &view));
        Ok(ListModelsResponse {
            models: page.items,
            next_page_token: page.next_page_token,
        })
    }

    async fn get(&self, caller: &Caller, name: &str) -> Result<GetModelResponse, ApiError> {
        check_known(&caller.tenant, name)?;
        let model = self.registry.read(name).await?.ok_or_else(|| not_found(name))?;
        Ok(GetModelResponse {
            model: self.show(&model),
        })
    }

    async fn deploy(&self, caller: &Caller, request: DeployModelRequest) -> Result<DeployModelResponse, ApiError> {
        let DeployModelRequest { name, version } = request;
        check_known(&caller.tenant, &name)?;
        let version = (version != 0).then_some(version);
        let wait = self.config.deploy_wait;
        let (registry, workers) = (self.registry.clone(), self.workers.clone());
        let model = whole(async move { registry.deploy(&workers, &name, version, wait).await }).await?;
        self.routing.settled(&model).await;
        Ok(DeployModelResponse {
            model: self.show(&model),
        })
    }

    async fn undeploy(&self, caller: &Caller, name: &str) -> Result<UndeployModelResponse, ApiError> {
        check_known(&caller.tenant, name)?;
        let model = self.registry.change(name, Change::Undeploy).await?;
        self.routing.settled(&model).await;
        Ok(UndeployModelResponse {
            model: self.show(&model),
        })
    }

    async fn rollback(&self, caller: &Caller, name: String) -> Result<RollbackModelResponse, ApiError> {
        check_known(&caller.tenant, &name)?;
        let wait = self.config.deploy_wait;
        let (registry, workers) = (self.registry.clone(), self.workers.clone());
        let model = whole(async move { registry.rollback(&workers, &name, wait).await }).await?;
        self.routing.settled(&model).await;
        Ok(RollbackModelResponse {
            model: self.show(&model),
        })
    }

    async fn delete(
        &self,
        caller: &Caller,
        request: DeleteModelVersionRequest,
    ) -> Result<DeleteModelVersionResponse, ApiError> {
        let DeleteModelVersionRequest { name, version } = request;
        check_known(&caller.tenant, &name)?;
        let view = self.routing.view();
        if let Some(placement) = view.get(&name)
            && placement.serving == Some(version)
        {
            return Err(RoutingError::StillServed { model: name, version }.into());
        }
        let (blobs, registry) = (self.store.store()?, self.registry.clone());
        whole(async move { registry.delete(&blobs, &name, version).await }).await?;
        Ok(DeleteModelVersionResponse {})
    }
}

/// Refuses what is no name as the name of no model. Records belong to no tenant, so every tenant has the same models.
fn check_known(_tenant: &Tenant, name: &str) -> Result<(), ApiError> {
    check_name(name).map_err(|_| not_found(name))
}

#[tonic::async_trait]
impl ModelService for Models {
    async fn push_model(&self, request: Request<PushModelRequest>) -> Answer<PushModelResponse> {
        answer(request, async |caller, request| self.push(&caller, request).await).await
    }

    async fn list_models(&self, request: Request<ListModelsRequest>) -> Answer<ListModelsResponse> {
        answer(request, async |caller, request| self.list(&caller, &request).await).await
    }

    async fn get_model(&self, request: Request<GetModelRequest>) -> Answer<GetModelResponse> {
        answer(request, async |caller, request| self.get(&caller, &request.name).await).await
    }

    async fn deploy_model(&self, request: Request<DeployModelRequest>) -> Answer<DeployModelResponse> {
        answer(request, async |caller, request| self.deploy(&caller, request).await).await
    }

    async fn undeploy_model(&self, request: Request<UndeployModelRequest>) -> Answer<UndeployModelResponse> {
        answer(request, async |caller, request| {
            self.undeploy(&caller, &request.name).await
        })
        .await
    }

    async fn rollback_model(&self, request: Request<RollbackModelRequest>) -> Answer<RollbackModelResponse> {
        answer(request, async |caller, request| {
            self.rollback(&caller, request.name).await
        })
        .await
    }

    async fn delete_model_version(
        &self,
        request: Request<DeleteModelVersionRequest>,
    ) -> Answer<DeleteModelVersionResponse> {
        answer(request, async |caller, request| self.delete(&caller, request).await).await
    }
}
