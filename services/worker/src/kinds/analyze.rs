//! Kind `analyze`: the online call as a task. Its input and output are the fields of that call.
//!
//! Promises: the figures and the errors are those of the online call; no attempt is repeated for an input that is wrong.
//! Leaves reading the input to [`decode`](mod@decode).

use futures::FutureExt;
use futures::future::BoxFuture;
use lepton_analysis::Table;
use lepton_domain::reason::Reason;
use lepton_domain::task::Encoding;
use tokio_util::sync::CancellationToken;

use super::output;
use crate::analysis::AnalyzeParams;
use crate::cpu_pool::{CpuPool, Stopped};
use crate::error::{Error, InputError};
use crate::kind::{Failure, Input, Kind, Output};
use crate::model::cache::{ModelCache, ServedModel};

mod decode;
#[cfg(test)]
mod tests;

#[derive(Debug, Clone)]
pub(super) struct Analyze {
    cpu_pool: CpuPool,
    models: ModelCache,
}

impl Analyze {
    /// A kind that computes on `cpu_pool` and predicts with `models`.
    pub(super) fn new(cpu_pool: CpuPool, models: ModelCache) -> Self {
        Self { cpu_pool, models }
    }

    async fn analyze(self, input: Input, cancel: CancellationToken) -> Result<Output, Failure> {
        let trace_id = input.trace_id.clone();
        let decoding = self.cpu_pool.run(&cancel, move |cancelled| decode(&input, cancelled));
        let (params, table) = decoding.await.map_err(stopped)??;
        let served = match &params.model {
            Some(name) => Some(self.models.find(name, None).await.map_err(Error::Cache)?),
            None => None,
        };
        let answering = self.cpu_pool.run(&cancel, move |cancelled| {
            let model = served.as_ref().map(|ServedModel { model, .. }| &**model);
            let response = params.run(&table, model, trace_id, cancelled)?;
            drop(table);
            output::from_message("lepton.analysis.v1.AnalyzeResponse", &response)
        });
        Ok(answering.await.map_err(stopped)??)
    }
}

impl Kind for Analyze {
    fn name(&self) -> &'static str {
        "analyze"
    }

    fn run(&self, input: Input, cancel: CancellationToken) -> BoxFuture<'static, Result<Output, Failure>> {
        let this = Self {
            cpu_pool: self.cpu_pool.timed(&input.timer),
            ..self.clone()
        };
        this.analyze(input, cancel).boxed()
    }
}

fn stopped(Stopped: Stopped) -> Failure {
    Failure::permanent(Reason::Cancelled, "the analysis was stopped")
}

/// Decodes the parameters and the rows of an input. The text, which may be a hundred times larger than the result, is
/// dropped with the input.
fn decode(input: &Input, cancelled: &dyn Fn() -> bool) -> Result<(AnalyzeParams, Table), Error> {
    if input.encoding != Encoding::Json {
        let message = "the input is binary; analyze takes JSON with rows in `data`";
        return Err(InputError::NotJson(message.to_owned()).into());
    }
    decode::decode(&input.content, cancelled)
}
