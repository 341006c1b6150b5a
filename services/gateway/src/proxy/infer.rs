//! `inference.GRPCInferenceService`: models that are served, and inference on them.
//!
//! Promises: a gRPC request's tensors are never decoded or copied here; the same models, answers and refusals as over
//! `/v2`. Leaves choosing a worker to [`super::balancer`] and everything about tensors to the workers.

use std::sync::Arc;

use bytes::Bytes;
use lepton_domain::model::{Model, version_not_found};
use lepton_domain::reason::ApiError;
use lepton_mesh::server::deadline::Deadline;
use lepton_mesh::server::health::Readiness;
use lepton_proto::convert::inference::{SERVER_NAME, model_metadata, parse_version};
use lepton_proto::inference::*;
use prost::Message as _;

use super::balancer::{Balancer, CallPermit, ModelRef};
use super::error::ProxyError;
use super::grpc::Bytewise;
use super::request::{self, WorkerRequest};
use crate::models::Routing;
use crate::models::placement_view::ModelPlacement;
use crate::request::Caller;

/// The RPC that runs a model, here and at the workers.
const MODEL_INFER: &str = "/inference.GRPCInferenceService/ModelInfer";
/// The numbers of the fields `model_name` and `model_version`.
const MODEL_FIELDS: [u32; 2] = [1, 2];
/// Extensions of the protocol that the server has.
pub const EXTENSIONS: [&str; 1] = ["binary_tensor_data"];

/// The service.
#[derive(Debug, Clone)]
pub struct Inference {
    calls: Balancer,
    routing: Routing,
    readiness: Readiness,
}

impl Inference {
    /// Ready when the gateway is.
    pub fn new(calls: Balancer, routing: Routing, readiness: Readiness) -> Self {
        Self {
            calls,
            routing,
            readiness,
        }
    }

    /// True where a request would succeed.
    pub fn is_ready(&self) -> bool {
        self.readiness.is_ready()
    }

    /// Takes a permit for a call, see [`Balancer::enter`].
    pub fn enter(&self) -> Result<CallPermit, ApiError> {
        self.calls.enter()
    }

    /// Reads a request, in time.
    pub async fn within<T>(
        &self,
        deadline: Option<Deadline>,
        read: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        self.calls.within(self.calls.deadline(deadline), read).await
    }

    /// Runs a model on tensors. Gives the worker's answer.
    pub async fn infer(
        &self,
        caller: &Caller,
        model_ref: &ModelRef,
        request: WorkerRequest,
        deadline: Option<Deadline>,
    ) -> Result<Bytes, ApiError> {
        let deadline = self.calls.deadline(deadline);
        self.calls
            .call(caller, MODEL_INFER, Some(model_ref), request, deadline)
            .await
    }

    /// Refuses a model that is not there, so that no body is read for it.
    pub async fn check(
        &self,
        caller: &Caller,
        model_ref: &ModelRef,
        deadline: Option<Deadline>,
    ) -> Result<(), ApiError> {
        self.find(caller, model_ref, deadline).await.map(drop)
    }

    /// Refuses a model that would not answer now.
    pub async fn check_ready(
        &self,
        caller: &Caller,
        model_ref: &ModelRef,
        deadline: Option<Deadline>,
    ) -> Result<(), ApiError> {
        self.check(caller, model_ref, deadline).await?;
        self.routing.ready(&caller.tenant, &model_ref.name, model_ref.version)
    }

    /// Inputs and outputs of a model.
    pub async fn describe(
        &self,
        caller: &Caller,
        model_ref: &ModelRef,
        deadline: Option<Deadline>,
    ) -> Result<ModelMetadataResponse, ApiError> {
        let (model, number) = self.find(caller, model_ref, deadline).await?;
        let version = model.version(number);
        let version = version.ok_or_else(|| version_not_found(&model.name, number))?;
        let versions = match (model_ref.version, self.routing.view().get(&model.name)) {
            (Some(named), _) => vec![named],
            (None, Some(placement)) => ready(placement),
            (None, None) => Vec::new(),
        };
        Ok(model_metadata(&model.name, &version.signature, versions))
    }

    /// The model of a request, and the version that it would get.
    async fn find(
        &self,
        caller: &Caller,
        model_ref: &ModelRef,
        deadline: Option<Deadline>,
    ) -> Result<(Arc<Model>, u32), ApiError> {
        let (deadline, ModelRef { name, version }) = (self.calls.deadline(deadline), model_ref);
        self.routing.find(&caller.tenant, name, *version, deadline).await
    }

    async fn infer_encoded(
        &self,
        caller: &Caller,
        request: Bytes,
        deadline: Option<Deadline>,
    ) -> Result<Bytes, ApiError> {
        let _inside = self.enter()?;
        let head: ModelInferRequest = request::peek(&request, &MODEL_FIELDS).map_err(ProxyError::from)?;
        let model_ref = parse_model_ref(head.model_name, &head.model_version)?;
        self.infer(caller, &model_ref, WorkerRequest::encoded(request), deadline)
            .await
    }
}

impl Bytewise for Inference {
    const NAME: &'static str = "inference.GRPCInferenceService";
    const METHODS: &'static [&'static str] = &[
        "ServerLive",
        "ServerReady",
        "ModelReady",
        "ServerMetadata",
        "ModelMetadata",
        "ModelInfer",
    ];

    async fn answer(
        &self,
        caller: &Caller,
        method: &str,
        request: Bytes,
        deadline: Option<Deadline>,
    ) -> Result<Bytes, ApiError> {
        let answer = match method {
            "ModelInfer" => return self.infer_encoded(caller, request, deadline).await,
            "ServerLive" => ServerLiveResponse { live: true }.encode_to_vec(),
            "ServerReady" => ServerReadyResponse { ready: self.is_ready() }.encode_to_vec(),
            "ServerMetadata" => server().encode_to_vec(),
            "ModelReady" => {
                let ModelReadyRequest { name, version } =
                    ModelReadyRequest::decode(request).map_err(ProxyError::from)?;
                let ready = match parse_model_ref(name, &version) {
                    Ok(model_ref) => self.check_ready(caller, &model_ref, deadline).await.is_ok(),
                    Err(_) => false,
                };
                ModelReadyResponse { ready }.encode_to_vec()
            }
            _ => {
                let ModelMetadataRequest { name, version } =
                    ModelMetadataRequest::decode(request).map_err(ProxyError::from)?;
                let model_ref = parse_model_ref(name, &version)?;
                self.describe(caller, &model_ref, deadline).await?.encode_to_vec()
            }
        };
        Ok(answer.into())
    }
}

/// The versions that a worker has in memory.
fn ready(placement: &ModelPlacement) -> Vec<u32> {
    let held = placement
        .versions
        .iter()
        .filter(|(_, replicas)| !replicas.ready.is_empty());
    held.map(|(version, _)| *version).collect()
}

/// Metadata of the server.
pub fn server() -> ServerMetadataResponse {
    ServerMetadataResponse {
        name: SERVER_NAME.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        extensions: EXTENSIONS.map(str::to_owned).to_vec(),
    }
}

/// The model of a request; an empty version leaves the choice to the mesh.
pub fn parse_model_ref(name: String, version: &str) -> Result<ModelRef, ProxyError> {
    if name.is_empty() {
        return Err(ProxyError::ModelMissing);
    }
    let version = parse_version(version).map_err(|_| ProxyError::VersionInvalid(version.to_owned()))?;
    Ok(ModelRef { name, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_and_an_empty_one_leaves_the_choice() {
        let version = |text: &str| parse_model_ref("m".to_owned(), text).map(|model_ref| model_ref.version);
        assert_eq!((version(""), version("7")), (Ok(None), Ok(Some(7))));
        for bad in ["x", "-1", "1.0", "4294967296", " 1"] {
            assert!(
                version(bad).is_err_and(|error| error.to_string().contains(bad)),
                "{bad}"
            );
        }
        assert!(parse_model_ref(String::new(), "").is_err());
    }

    #[test]
    fn a_request_is_peeked_for_its_model_alone() {
        let request = ModelInferRequest {
            model_name: "m".into(),
            model_version: "2".into(),
            id: "i".into(),
            raw_input_contents: vec![Bytes::from(vec![0; 1_000])],
            ..Default::default()
        };
        let peeked: ModelInferRequest = request::peek(&request.encode_to_vec(), &MODEL_FIELDS).expect("well formed");
        assert_eq!((peeked.model_name.as_str(), peeked.model_version.as_str()), ("m", "2"));
        assert!(peeked.raw_input_contents.is_empty());
    }
}
