//! The Open Inference Protocol: the gRPC service that gateways forward inference to.
//!
//! Promises: bounded in calls, in waiting calls and in their memory, together with online analyses; a caller that hangs
//! up or whose deadline passes stops the work, at the next node of the model. Leaves choosing the version of a call that
//! names none to the gateway, which says it in the metadata, and the deadline itself to the stack around the service.

use std::sync::Arc;

use lepton_core::clock::Clock;
use lepton_core::error::status;
use lepton_core::metrics::{Counters, Histograms, Metrics, SECONDS, own};
use lepton_domain::model::Tensor as Typed;
use lepton_domain::reason::{Fault, Reason};
use lepton_mesh::server::health::Readiness;
use lepton_proto::inference::grpc_inference_service_server::GrpcInferenceService;
use lepton_proto::inference::model_metadata_response::TensorMetadata;
use lepton_proto::inference::{
    ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest,
    ModelReadyResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse,
    ServerReadyRequest, ServerReadyResponse,
};
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::compute::{Compute, Stopped};
use crate::model::Loaded;
use crate::model::host::{Host, Served};
use crate::online::room::Room;
use crate::stats::{Done, Stats};

mod answer;
mod contents;
mod request;

/// The metadata in which a gateway says which version it chose.
pub const VERSION: &str = "lepton-model-version";
/// What every model is, in the protocol's words.
const PLATFORM: &str = "onnx_onnxv1";
/// The name of its work in metrics.
const KIND: &str = "infer";

/// The service.
#[derive(Debug, Clone)]
pub struct Inference {
    /// The models.
    pub host: Host,
    /// Who may wait.
    pub room: Room,
    /// Where it computes.
    pub compute: Compute,
    /// What is told of it.
    pub stats: Stats,
    /// What is counted of it by model.
    pub figures: Figures,
    /// Whether the worker would answer.
    pub readiness: Readiness,
    /// Measures how long it took.
    pub clock: Clock,
}

/// Figures by model.
#[derive(Debug, Clone)]
pub struct Figures {
    calls: Counters,
    seconds: Histograms,
}

impl Figures {
    /// Registered where metrics are kept.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            calls: metrics.counters(
                "lepton_model_inferences_total",
                "Inferences that ended, by model and outcome",
            ),
            seconds: metrics.histograms("lepton_model_inference_seconds", "How long models ran", SECONDS),
        }
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Inference {
    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Result<Response<ServerReadyResponse>, Status> {
        let ready = self.readiness.is_ready();
        Ok(Response::new(ServerReadyResponse { ready }))
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Result<Response<ModelReadyResponse>, Status> {
        let chosen = version(request.metadata(), &request.get_ref().version).map_err(|fault| status(&fault))?;
        let ready = self.host.look(&request.get_ref().name, chosen).is_ok();
        Ok(Response::new(ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(ServerMetadataResponse {
            name: "lepton".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            extensions: Vec::new(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let described = self.describe(request.metadata(), request.get_ref()).await;
        described.map(Response::new).map_err(|fault| status(&fault))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Result<Response<ModelInferResponse>, Status> {
        let chosen = version(request.metadata(), &request.get_ref().model_version);
        let answered = async { self.infer(chosen?, request.into_inner()).await };
        answered.await.map(Response::new).map_err(|fault| status(&fault))
    }
}

impl Inference {
    async fn describe(
        &self,
        metadata: &MetadataMap,
        request: &ModelMetadataRequest,
    ) -> Result<ModelMetadataResponse, Fault> {
        let served = self
            .host
            .find(&request.name, version(metadata, &request.version)?)
            .await?;
        let signature = served.model.signature();
        let numbers = self.host.versions(&served.name);
        Ok(ModelMetadataResponse {
            name: served.name,
            versions: numbers.iter().map(u32::to_string).collect(),
            platform: PLATFORM.to_owned(),
            inputs: signature.inputs.iter().map(described).collect(),
            outputs: signature.outputs.iter().map(described).collect(),
        })
    }

    async fn infer(&self, chosen: Option<u32>, request: ModelInferRequest) -> Result<ModelInferResponse, Fault> {
        let _place = self.room.take(request::memory_bytes(&request))?;
        let served = self.host.find(&request.model_name, chosen).await?;
        let span = tracing::info_span!("model infer", model = served.name, version = served.version);
        self.run(served, request).instrument(span).await
    }

    async fn run(&self, served: Served, mut request: ModelInferRequest) -> Result<ModelInferResponse, Fault> {
        let Served { name, version, model } = served;
        let waiting = self.stats.waits();
        let (clock, id) = (self.clock, std::mem::take(&mut request.id));
        let begun = clock.monotonic();
        // Dropped with the call, when nobody waits for it any more, it stops the work.
        let cancel = CancellationToken::new();
        let computed = self.compute.run(&cancel, move |stop| {
            let running = waiting.runs(clock);
            let answer = answer(&model, request, stop);
            running.ended(KIND, Done::of(&answer));
            answer
        });
        let computed = computed.await;
        let answer = computed.map_err(|Stopped| Fault::new(Reason::Cancelled, "the worker stopped the inference"))?;
        self.count(&name, &answer, (clock.monotonic() - begun).as_secs_f64());
        Ok(ModelInferResponse {
            model_name: name,
            model_version: version.to_string(),
            id,
            ..answer?
        })
    }

    fn count(&self, model: &str, answer: &Result<ModelInferResponse, Fault>, seconds: f64) {
        let outcome = Done::of(answer).as_str();
        let Figures { calls, seconds: spent } = &self.figures;
        calls
            .get_or_create_owned(&own(&[("model", model), ("outcome", outcome)]))
            .inc();
        spent.get_or_create_owned(&own(&[("model", model)])).observe(seconds);
    }
}

/// Runs a model on a request.
fn answer(
    model: &Arc<dyn Loaded>,
    request: ModelInferRequest,
    stop: &dyn Fn() -> bool,
) -> Result<ModelInferResponse, Fault> {
    let signature = model.signature();
    let request::Asked { inputs, outputs, raw } = request::read(signature, request)?;
    let mut given: Vec<_> = model.run(inputs, stop)?.into_iter().map(Some).collect();
    let wanted: Vec<_> = outputs
        .iter()
        .filter_map(|place| given.get_mut(*place)?.take())
        .collect();
    answer::write(&wanted, raw)
}

/// The version that the gateway chose, else the one that the request names, else none. Fails with FIELD_INVALID.
pub fn version(metadata: &MetadataMap, named: &str) -> Result<Option<u32>, Fault> {
    let chosen = metadata.get(VERSION).and_then(|value| value.to_str().ok());
    match chosen.unwrap_or(named) {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            let shown: String = text.chars().take(32).collect();
            Fault::field(
                "model_version",
                format!("{shown:?} is no version; versions are 1, 2, 3, ..."),
            )
        }),
    }
}

fn described(tensor: &Typed) -> TensorMetadata {
    TensorMetadata {
        name: tensor.name.clone(),
        datatype: tensor.datatype.as_str().to_owned(),
        shape: tensor.shape.clone(),
    }
}
