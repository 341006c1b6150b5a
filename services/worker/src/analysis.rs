//! One analysis, asked online or as a task: what was asked, and the answer as the wire carries it.
//!
//! Promises: the same question over the same rows gives the same answer, whichever way it came. Leaves the figures to
//! `lepton-analysis`, and threads and queues to whoever asks.

use lepton_analysis::{Options, Table, analyze};
use lepton_domain::reason::{Fault, Reason};
use lepton_proto::analysis::v1::{AnalyzeResponse, Consistency};

use crate::model::Loaded;

pub mod predict;
pub mod refusal;
pub mod report;
pub mod table;

/// What is asked beside the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// The column to fit.
    pub target: Option<String>,
    /// The model that predicts.
    pub model: Option<String>,
    /// How many workers must agree.
    pub consistency: Consistency,
}

impl Question {
    /// Whether this worker can answer it. Fails with CONSISTENCY_UNSUPPORTED.
    pub fn check(&self) -> Result<(), Fault> {
        if self.consistency == Consistency::Quorum {
            let message = "CONSISTENCY_QUORUM is not supported yet; leave it out or send CONSISTENCY_ONE";
            return Err(Fault::new(Reason::ConsistencyUnsupported, message));
        }
        Ok(())
    }

    /// The answer; `model` is the one that was asked for. `cancelled` is asked every few microseconds of work, and while a
    /// model runs before each of its nodes; when it says so, the fault is CANCELLED.
    pub fn answer(
        &self,
        table: &Table,
        model: Option<&dyn Loaded>,
        trace_id: String,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<AnalyzeResponse, Fault> {
        let target = self.target.as_deref();
        // First, as it may refuse the rows.
        let predictions = model
            .map(|model| predict::predict(model, table, target, cancelled))
            .transpose()?;
        let report = analyze(table, &Options { target }, cancelled).map_err(refusal::fault)?;
        Ok(report::response(report, predictions.unwrap_or_default(), trace_id))
    }
}
