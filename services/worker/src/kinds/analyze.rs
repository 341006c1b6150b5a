//! Kind `analyze`: the online call as a task. Its input and output are the fields of that call.
//!
//! Promises: the figures and the faults are those of the online call; no attempt is repeated for an input that is
//! wrong. Leaves reading the input to `decode`.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use lepton_domain::reason::{Fault, Reason};
use lepton_domain::task::Encoding;
use lepton_proto::analysis::v1::AnalyzeResponse;
use lepton_proto::convert::value::compact;
use lepton_proto::proto_json;
use tokio_util::sync::CancellationToken;

use crate::compute::{Compute, Stopped};
use crate::kind::{Failure, Input, Kind, Output};

mod decode;
mod packed;
#[cfg(test)]
mod tests;

/// The kind.
#[derive(Debug, Clone)]
pub struct Analyze {
    compute: Compute,
}

impl Analyze {
    /// It computes on `compute`.
    pub fn new(compute: Compute) -> Self {
        Self { compute }
    }
}

impl Kind for Analyze {
    fn name(&self) -> &'static str {
        "analyze"
    }

    fn run(&self, input: Input, cancel: CancellationToken) -> BoxFuture<'static, Result<Output, Failure>> {
        let compute = self.compute.clone();
        async move {
            let done = compute.run(&cancel, move |cancelled| analyze(input, cancelled)).await;
            Ok(done.map_err(|Stopped| Failure::lasting(Reason::Cancelled, "the analysis was stopped"))??)
        }
        .boxed()
    }
}

fn analyze(input: Input, cancelled: &dyn Fn() -> bool) -> Result<Output, Fault> {
    if input.encoding != Encoding::Json {
        return Err(Fault::new(
            Reason::InvalidJson,
            "the input is binary; analyze takes JSON with rows in `data`",
        ));
    }
    let (question, table) = decode::decode(&input.content, cancelled)?;
    // The text may be a hundred times larger than what is left to do.
    drop(input.content);
    let response = question.answer(&table, input.trace_id, cancelled)?;
    drop(table);
    Ok(Output {
        encoding: Encoding::Json,
        content: print(&response)?,
    })
}

fn print(response: &AnalyzeResponse) -> Result<Bytes, Fault> {
    let broken = |error: &dyn std::fmt::Display| Fault::new(Reason::Internal, format!("the answer: {error}"));
    let text = proto_json::encode("lepton.analysis.v1.AnalyzeResponse", response).map_err(|error| broken(&error))?;
    compact(&text).map_err(|error| broken(&error))
}
