//! Online analysis: the gRPC service that gateways call.
//!
//! Promises: bounded in calls, in waiting calls and in their memory; a caller that hangs up or whose deadline passes
//! stops the work. Leaves the deadline itself to the stack around the service, which drops late calls.

use lepton_core::clock::Clock;
use lepton_core::error::status;
use lepton_domain::reason::{Fault, Reason};
use lepton_proto::analysis::v1::analysis_service_server::AnalysisService;
use lepton_proto::analysis::v1::{AnalyzeRequest, AnalyzeResponse, Consistency};
use lepton_telemetry::trace;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use self::room::Room;
use crate::analysis::{Question, table};
use crate::compute::{Compute, Stopped};
use crate::infer::version;
use crate::model::Loaded;
use crate::model::host::{Host, Served};
use crate::stats::{Done, Stats};

pub mod room;

/// The name of its work in metrics.
const KIND: &str = "online";

/// The service.
#[derive(Debug, Clone)]
pub struct Online {
    /// The models that predict.
    pub host: Host,
    /// Who may wait.
    pub room: Room,
    /// Where it computes.
    pub compute: Compute,
    /// What is told of it.
    pub stats: Stats,
    /// Measures how long it took.
    pub clock: Clock,
}

#[tonic::async_trait]
impl AnalysisService for Online {
    async fn analyze(&self, request: Request<AnalyzeRequest>) -> Result<Response<AnalyzeResponse>, Status> {
        let chosen = version(request.metadata(), "");
        let answered = async { self.answer(chosen?, request.into_inner()).await };
        let answer = answered.await;
        answer.map(Response::new).map_err(|fault| status(&fault))
    }
}

impl Online {
    async fn answer(&self, chosen: Option<u32>, request: AnalyzeRequest) -> Result<AnalyzeResponse, Fault> {
        let question = question(&request)?;
        let _place = self.room.enter(&request)?;
        let served = match &question.model {
            Some(name) => Some(self.host.find(name, chosen).await?),
            None => None,
        };
        let waiting = self.stats.waits();
        let (clock, trace_id) = (self.clock, trace::trace_id().unwrap_or_default());
        // Dropped with the call, when nobody waits for it any more, it stops the work.
        let cancel = CancellationToken::new();
        let computed = self.compute.run(&cancel, move |cancelled| {
            let running = waiting.runs(clock);
            let model = served.as_ref().map(|Served { model, .. }| &**model);
            let answer = analyze(question, request, model, trace_id, cancelled);
            running.ended(KIND, Done::of(&answer));
            answer
        });
        computed
            .await
            .map_err(|Stopped| Fault::new(Reason::Cancelled, "the worker stopped the analysis"))?
    }
}

/// What is asked, and whether this worker answers such questions.
fn question(request: &AnalyzeRequest) -> Result<Question, Fault> {
    let consistency = Consistency::try_from(request.consistency)
        .map_err(|_| Fault::field("consistency", format!("{} stands for nothing", request.consistency)))?;
    let question = Question {
        target: request.target.clone(),
        model: request.model.clone(),
        consistency,
    };
    question.check()?;
    Ok(question)
}

fn analyze(
    question: Question,
    request: AnalyzeRequest,
    model: Option<&dyn Loaded>,
    trace_id: String,
    cancelled: &dyn Fn() -> bool,
) -> Result<AnalyzeResponse, Fault> {
    let table = table::of_request(request.data, request.table)?;
    question.answer(&table, model, trace_id, cancelled)
}
