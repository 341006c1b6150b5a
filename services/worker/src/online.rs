//! Online analysis, as a gRPC service for gateways.
//!
//! Promises: bounded in calls, in waiting calls and in their memory; a caller that hangs up or whose deadline passes
//! stops the work. Leaves the deadline itself to the stack around the service, which drops late calls.

use lepton_core::clock::Clock;
use lepton_core::error::status;
use lepton_domain::reason::ApiError;
use lepton_proto::analysis::v1::analysis_service_server::AnalysisService;
use lepton_proto::analysis::v1::{AnalyzeRequest, AnalyzeResponse, Consistency};
use lepton_proto::convert::inference::requested_version;
use lepton_telemetry::trace;
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::admission::Admission;
use crate::analysis::{AnalyzeParams, table};
use crate::cpu_pool::{CpuPool, Stopped};
use crate::error::{Error, InputError};
use crate::model::LoadedModel;
use crate::model::cache::{ModelCache, ServedModel};
use crate::stats::{RunOutcome, Stats};

/// Value of the label `kind` in the worker's metrics.
const KIND: &str = "online";

#[derive(Debug, Clone)]
pub(crate) struct OnlineAnalysis {
    /// The models in memory, for predictions.
    pub(crate) models: ModelCache,
    pub(crate) admission: Admission,
    pub(crate) cpu_pool: CpuPool,
    pub(crate) stats: Stats,
    pub(crate) clock: Clock,
}

#[tonic::async_trait]
impl AnalysisService for OnlineAnalysis {
    async fn analyze(&self, request: Request<AnalyzeRequest>) -> Result<Response<AnalyzeResponse>, Status> {
        let version = requested_version(request.metadata(), "");
        let response = async { self.admit(version?, request.into_inner()).await };
        let response: Result<_, Error> = response.await;
        response.map(Response::new).map_err(|error| status(&error.into()))
    }
}

impl OnlineAnalysis {
    async fn admit(&self, version: Option<u32>, request: AnalyzeRequest) -> Result<AnalyzeResponse, Error> {
        let params = params(&request)?;
        let _permit = self.admission.admit(request.encoded_len())?;
        let served = match &params.model {
            Some(name) => Some(self.models.find(name, version).await?),
            None => None,
        };
        Ok(self.run(params, served, request).await?)
    }

    async fn run(
        &self,
        params: AnalyzeParams,
        served: Option<ServedModel>,
        request: AnalyzeRequest,
    ) -> Result<AnalyzeResponse, ApiError> {
        let waiting = self.stats.enqueue();
        let (clock, trace_id) = (self.clock, trace::trace_id().unwrap_or_default());
        // Dropped with the call, when nobody waits for it any more, it stops the work.
        let cancel = CancellationToken::new();
        let computed = self.cpu_pool.run(&cancel, move |cancelled| {
            let running = waiting.start(clock);
            let model = served.as_ref().map(|ServedModel { model, .. }| &**model);
            let response = analyze(&params, request, model, trace_id, cancelled).map_err(ApiError::from);
            running.finish(KIND, RunOutcome::classify(&response));
            response
        });
        computed
            .await
            .map_err(|Stopped| Error::Stopped("the worker stopped the analysis"))?
    }
}

/// Reads and checks everything of a request but its rows.
fn params(request: &AnalyzeRequest) -> Result<AnalyzeParams, InputError> {
    let unknown = |_| InputError::field("consistency", format!("{} stands for nothing", request.consistency));
    let params = AnalyzeParams {
        target: request.target.clone(),
        model: request.model.clone(),
        consistency: Consistency::try_from(request.consistency).map_err(unknown)?,
    };
    params.check()?;
    Ok(params)
}

fn analyze(
    params: &AnalyzeParams,
    request: AnalyzeRequest,
    model: Option<&dyn LoadedModel>,
    trace_id: String,
    cancelled: &dyn Fn() -> bool,
) -> Result<AnalyzeResponse, Error> {
    let table = table::from_request(request.data, request.table)?;
    params.run(&table, model, trace_id, cancelled)
}
