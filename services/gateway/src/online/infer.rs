//! `inference.GRPCInferenceService`: models that are served, and inference on them.
//!
//! Promises: a gRPC request's tensors are never decoded or copied here; the same models, answers and refusals as over
//! `/v2`. Leaves choosing a worker to `call` and everything about tensors to the workers.

use bytes::Bytes;
use lepton_domain::model::version_not_found;
use lepton_domain::reason::Fault;
use lepton_mesh::server::deadline::Deadline;
use lepton_mesh::server::health::Readiness;
use lepton_proto::convert::inference::{SERVER_NAME, model_metadata, parse_version};
use lepton_proto::inference::*;
use prost::Message as _;

use super::call::{Calls, Inside, Wanted};
use super::grpc::Bytewise;
use super::message::{self, Message};
use crate::models::Routes;
use crate::models::board::Place;

/// The RPC that runs a model, here and at the workers.
const MODEL_INFER: &str = "/inference.GRPCInferenceService/ModelInfer";
/// The numbers of the fields `model_name` and `model_version`.
const MODEL_FIELDS: [u32; 2] = [1, 2];
/// What the server can do beyond the protocol.
pub const EXTENSIONS: [&str; 1] = ["binary_tensor_data"];

/// The service.
#[derive(Debug, Clone)]
pub struct Inference {
    calls: Calls,
    routes: Routes,
    readiness: Readiness,
}

impl Inference {
    /// Ready when the gateway is.
    pub fn new(calls: Calls, routes: Routes, readiness: Readiness) -> Self {
        Self {
            calls,
            routes,
            readiness,
        }
    }

    /// Whether a request would succeed.
    pub fn is_ready(&self) -> bool {
        self.readiness.is_ready()
    }

    /// Takes a place among the calls under way.
    pub fn enter(&self) -> Result<Inside, Fault> {
        self.calls.enter()
    }

    /// Reads a request, in time.
    pub async fn within<T>(
        &self,
        deadline: Option<Deadline>,
        read: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        self.calls.within(self.calls.deadline(deadline), read).await
    }

    /// Runs a model on tensors. Gives the worker's answer.
    pub async fn infer(&self, wanted: &Wanted, request: Message, deadline: Option<Deadline>) -> Result<Bytes, Fault> {
        let deadline = self.calls.deadline(deadline);
        self.calls.call(MODEL_INFER, Some(wanted), request, deadline).await
    }

    /// Refuses a model that is not there, so that no body is read for it.
    pub async fn check(&self, wanted: &Wanted, deadline: Option<Deadline>) -> Result<(), Fault> {
        let deadline = self.calls.deadline(deadline);
        let found = self.routes.find(&wanted.name, wanted.version, deadline).await;
        found.map(drop)
    }

    /// Refuses a model that would not answer now.
    pub async fn check_ready(&self, wanted: &Wanted, deadline: Option<Deadline>) -> Result<(), Fault> {
        self.check(wanted, deadline).await?;
        self.routes.ready(&wanted.name, wanted.version)
    }

    /// What a model takes and gives.
    pub async fn describe(&self, wanted: &Wanted, deadline: Option<Deadline>) -> Result<ModelMetadataResponse, Fault> {
        let deadline = self.calls.deadline(deadline);
        let found = self.routes.find(&wanted.name, wanted.version, deadline).await;
        let (model, number) = found?;
        let version = model.version(number);
        let version = version.ok_or_else(|| version_not_found(&model.name, number))?;
        let versions = match (wanted.version, self.routes.board().get(&model.name)) {
            (Some(named), _) => vec![named],
            (None, Some(place)) => ready(place),
            (None, None) => Vec::new(),
        };
        Ok(model_metadata(&model.name, &version.signature, versions))
    }

    async fn infer_encoded(&self, request: Bytes, deadline: Option<Deadline>) -> Result<Bytes, Fault> {
        let _inside = self.enter()?;
        let head: ModelInferRequest = message::peek(&request, &MODEL_FIELDS).map_err(not_decoded)?;
        let wanted = wanted(head.model_name, &head.model_version)?;
        self.infer(&wanted, Message::encoded(request), deadline).await
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

    async fn answer(&self, method: &str, request: Bytes, deadline: Option<Deadline>) -> Result<Bytes, Fault> {
        let answer = match method {
            "ModelInfer" => return self.infer_encoded(request, deadline).await,
            "ServerLive" => ServerLiveResponse { live: true }.encode_to_vec(),
            "ServerReady" => ServerReadyResponse { ready: self.is_ready() }.encode_to_vec(),
            "ServerMetadata" => server().encode_to_vec(),
            "ModelReady" => {
                let ModelReadyRequest { name, version } = ModelReadyRequest::decode(request).map_err(not_decoded)?;
                let ready = match wanted(name, &version) {
                    Ok(wanted) => self.check_ready(&wanted, deadline).await.is_ok(),
                    Err(_) => false,
                };
                ModelReadyResponse { ready }.encode_to_vec()
            }
            _ => {
                let ModelMetadataRequest { name, version } =
                    ModelMetadataRequest::decode(request).map_err(not_decoded)?;
                let wanted = wanted(name, &version)?;
                self.describe(&wanted, deadline).await?.encode_to_vec()
            }
        };
        Ok(answer.into())
    }
}

/// The versions that a worker has in memory.
fn ready(place: &Place) -> Vec<u32> {
    let held = place.versions.iter().filter(|(_, holders)| !holders.ready.is_empty());
    held.map(|(version, _)| *version).collect()
}

/// What the server says of itself.
pub fn server() -> ServerMetadataResponse {
    ServerMetadataResponse {
        name: SERVER_NAME.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        extensions: EXTENSIONS.map(str::to_owned).to_vec(),
    }
}

/// The model of a request; an empty version leaves the choice to the mesh.
pub fn wanted(name: String, version: &str) -> Result<Wanted, Fault> {
    if name.is_empty() {
        return Err(Fault::field("model_name", "is missing"));
    }
    let version = parse_version(version)?;
    Ok(Wanted { name, version })
}

fn not_decoded(error: prost::DecodeError) -> Fault {
    Fault::field("request", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_and_an_empty_one_leaves_the_choice() {
        let version = |text: &str| wanted("m".to_owned(), text).map(|wanted| wanted.version);
        assert_eq!((version(""), version("7")), (Ok(None), Ok(Some(7))));
        for bad in ["x", "-1", "1.0", "4294967296", " 1"] {
            assert!(version(bad).is_err_and(|fault| fault.message.contains(bad)), "{bad}");
        }
        assert!(wanted(String::new(), "").is_err());
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
        let peeked: ModelInferRequest = message::peek(&request.encode_to_vec(), &MODEL_FIELDS).expect("well formed");
        assert_eq!((peeked.model_name.as_str(), peeked.model_version.as_str()), ("m", "2"));
        assert!(peeked.raw_input_contents.is_empty());
    }
}
