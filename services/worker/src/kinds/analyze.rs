//! Kind `analyze`: the online call as a task. Its input and output are the fields of that call.
//!
//! Promises: the figures and the faults are those of the online call; no attempt is repeated for an input that is
//! wrong. Leaves reading the input to `decode`.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use lepton_analysis::Table;
use lepton_domain::model::not_found;
use lepton_domain::reason::{Fault, Reason};
use lepton_domain::task::Encoding;
use lepton_proto::analysis::v1::AnalyzeResponse;
use lepton_proto::convert::value::compact;
use lepton_proto::proto_json;
use tokio_util::sync::CancellationToken;

use crate::analysis::Question;
use crate::compute::{Compute, Stopped};
use crate::kind::{Failure, Input, Kind, Output};
use crate::model::host::{Host, Served};

pub(in crate::kinds) mod decode;
#[cfg(test)]
mod tests;

/// The kind.
#[derive(Debug, Clone)]
pub struct Analyze {
    compute: Compute,
    models: Option<Host>,
}

impl Analyze {
    /// It computes on `compute`.
    pub fn new(compute: Compute) -> Self {
        Self { compute, models: None }
    }

    /// Models of this worker predict.
    #[must_use]
    pub fn with_models(self, models: Host) -> Self {
        Self {
            models: Some(models),
            ..self
        }
    }

    async fn analyze(self, input: Input, cancel: CancellationToken) -> Result<Output, Failure> {
        let trace_id = input.trace_id.clone();
        let decoding = self.compute.run(&cancel, move |cancelled| decode(input, cancelled));
        let (question, table) = decoding.await.map_err(stopped)??;
        let served = match &question.model {
            Some(name) => Some(self.find(name).await?),
            None => None,
        };
        let answering = self.compute.run(&cancel, move |cancelled| {
            let model = served.as_ref().map(|Served { model, .. }| &**model);
            let response = question.answer(&table, model, trace_id, cancelled)?;
            drop(table);
            print(&response)
        });
        Ok(Output {
            encoding: Encoding::Json,
            content: answering.await.map_err(stopped)??,
        })
    }

    async fn find(&self, name: &str) -> Result<Served, Fault> {
        match &self.models {
            Some(models) => models.find(name, None).await,
            None => Err(not_found(name)),
        }
    }
}

impl Kind for Analyze {
    fn name(&self) -> &'static str {
        "analyze"
    }

    fn run(&self, input: Input, cancel: CancellationToken) -> BoxFuture<'static, Result<Output, Failure>> {
        let this = Self {
            compute: self.compute.timed(&input.stopwatch),
            ..self.clone()
        };
        this.analyze(input, cancel).boxed()
    }
}

fn stopped(Stopped: Stopped) -> Failure {
    Failure::lasting(Reason::Cancelled, "the analysis was stopped")
}

/// The question and the rows. The text, which may be a hundred times larger than what is left to do, ends here.
fn decode(input: Input, cancelled: &dyn Fn() -> bool) -> Result<(Question, Table), Fault> {
    if input.encoding != Encoding::Json {
        return Err(Fault::new(
            Reason::InvalidJson,
            "the input is binary; analyze takes JSON with rows in `data`",
        ));
    }
    decode::decode(&input.content, cancelled)
}

fn print(response: &AnalyzeResponse) -> Result<Bytes, Fault> {
    let broken = |error: &dyn std::fmt::Display| Fault::new(Reason::Internal, format!("the answer: {error}"));
    let text = proto_json::encode("lepton.analysis.v1.AnalyzeResponse", response).map_err(|error| broken(&error))?;
    compact(&text).map_err(|error| broken(&error))
}
