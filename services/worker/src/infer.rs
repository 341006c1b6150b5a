//! The Open Inference Protocol, as a gRPC service for gateways.
//!
//! Promises: bounded in calls, in waiting calls and in their memory, together with online analyses; a caller that hangs
//! up or whose deadline passes stops the work, at the next node of the model. Leaves the choice of a version to the
//! gateway, which passes it on in the metadata, and the deadline itself to the stack around the service.

use std::sync::Arc;

use lepton_core::clock::Clock;
use lepton_core::error::status;
use lepton_core::metrics::{Counters, Histograms, Metrics, SECONDS, own};
use lepton_domain::reason::ApiError;
use lepton_mesh::server::health::Readiness;
use lepton_proto::convert::inference::{SERVER_NAME, model_metadata, requested_version};
use lepton_proto::inference::grpc_inference_service_server::GrpcInferenceService;
use lepton_proto::inference::{
    ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest,
    ModelReadyResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse,
    ServerReadyRequest, ServerReadyResponse,
};
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::admission::Admission;
use crate::cpu_pool::{CpuPool, Stopped};
use crate::error::Error;
use crate::model::LoadedModel;
use crate::model::cache::{ModelCache, ServedModel};
use crate::stats::{RunOutcome, Stats};

mod contents;
mod request;
mod response;

/// Value of the label `kind` in the worker's metrics.
const KIND: &str = "infer";

#[derive(Debug, Clone)]
pub(crate) struct Inference {
    pub(crate) models: ModelCache,
    pub(crate) admission: Admission,
    pub(crate) cpu_pool: CpuPool,
    pub(crate) stats: Stats,
    pub(crate) metrics: InferenceMetrics,
    pub(crate) readiness: Readiness,
    pub(crate) clock: Clock,
}

#[derive(Debug, Clone)]
pub(crate) struct InferenceMetrics {
    calls: Counters,
    seconds: Histograms,
}

impl InferenceMetrics {
    /// Registers the metrics.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            calls: metrics.counters(
                "lepton_model_inferences_total",
                "Inferences that ended, by model and outcome",
            ),
            seconds: metrics.histograms("lepton_model_inference_seconds", "How long models ran", SECONDS),
        }
    }

    fn record(&self, model: &str, outcome: RunOutcome, seconds: f64) {
        let labels = own(&[("model", model), ("outcome", outcome.as_str())]);
        self.calls.get_or_create_owned(&labels).inc();
        let histogram = self.seconds.get_or_create_owned(&own(&[("model", model)]));
        histogram.observe(seconds);
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
        let version = requested_version(request.metadata(), &request.get_ref().version);
        let version = version.map_err(|error| status(&error.into()))?;
        let ready = self.models.find_now(&request.get_ref().name, version).is_ok();
        Ok(Response::new(ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(ServerMetadataResponse {
            name: SERVER_NAME.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            extensions: Vec::new(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let described = self.describe(request.metadata(), request.get_ref()).await;
        described.map(Response::new).map_err(|error| status(&error.into()))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Result<Response<ModelInferResponse>, Status> {
        let version = requested_version(request.metadata(), &request.get_ref().model_version);
        let response = async { self.infer(version?, request.into_inner()).await };
        let response: Result<_, Error> = response.await;
        response.map(Response::new).map_err(|error| status(&error.into()))
    }
}

impl Inference {
    async fn describe(
        &self,
        metadata: &MetadataMap,
        request: &ModelMetadataRequest,
    ) -> Result<ModelMetadataResponse, Error> {
        let version = requested_version(metadata, &request.version)?;
        let served = self.models.find(&request.name, version).await?;
        let versions = self.models.versions(&served.name);
        Ok(model_metadata(&served.name, served.model.signature(), versions))
    }

    async fn infer(&self, version: Option<u32>, request: ModelInferRequest) -> Result<ModelInferResponse, Error> {
        let _permit = self.admission.admit(request::memory_bytes(&request))?;
        let served = self.models.find(&request.model_name, version).await?;
        let span = tracing::info_span!("model infer", model = served.name, version = i64::from(served.version));
        Ok(self.run(served, request).instrument(span).await?)
    }

    async fn run(&self, served: ServedModel, mut request: ModelInferRequest) -> Result<ModelInferResponse, ApiError> {
        let ServedModel { name, version, model } = served;
        let waiting = self.stats.enqueue();
        let (clock, id) = (self.clock, std::mem::take(&mut request.id));
        let begun = clock.monotonic();
        // Dropped with the call, when nobody waits for it any more, it stops the work.
        let cancel = CancellationToken::new();
        let computed = self.cpu_pool.run(&cancel, move |stop| {
            let running = waiting.start(clock);
            let response = infer(&model, request, stop).map_err(ApiError::from);
            running.finish(KIND, RunOutcome::classify(&response));
            response
        });
        let computed = computed.await;
        let response = computed.map_err(|Stopped| Error::Stopped("the worker stopped the inference"))?;
        let seconds = (clock.monotonic() - begun).as_secs_f64();
        self.metrics.record(&name, RunOutcome::classify(&response), seconds);
        Ok(ModelInferResponse {
            model_name: name,
            model_version: version.to_string(),
            id,
            ..response?
        })
    }
}

/// Runs a model on a request.
fn infer(
    model: &Arc<dyn LoadedModel>,
    request: ModelInferRequest,
    stop: &dyn Fn() -> bool,
) -> Result<ModelInferResponse, Error> {
    let decoded = request::decode(model.signature(), request)?;
    let mut outputs: Vec<_> = model.run(decoded.inputs, stop)?.into_iter().map(Some).collect();
    let requested = decoded.outputs.iter();
    let requested: Vec<_> = requested.filter_map(|index| outputs.get_mut(*index)?.take()).collect();
    Ok(response::encode(&requested, decoded.raw)?)
}
