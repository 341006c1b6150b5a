//! One analysis, asked online or as a task: what was asked, and the answer as the wire carries it.
//!
//! Promises: the same question over the same rows gives the same answer, whichever way it came. Leaves the figures to
//! `lepton-analysis`, and threads and queues to whoever asks.

use lepton_analysis::{Options, Table, analyze};
use lepton_domain::reason::{Fault, Reason};
use lepton_proto::analysis::v1::{AnalyzeResponse, Consistency};

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
    /// Whether this worker can answer it. Fails with CONSISTENCY_UNSUPPORTED or MODEL_NOT_FOUND.
    pub fn check(&self) -> Result<(), Fault> {
        if self.consistency == Consistency::Quorum {
            let message = "CONSISTENCY_QUORUM is not supported yet; leave it out or send CONSISTENCY_ONE";
            return Err(Fault::new(Reason::ConsistencyUnsupported, message));
        }
        match &self.model {
            Some(model) => {
                let message = format!("there is no model {model:?}; leave `model` out for figures without predictions");
                Err(Fault::new(Reason::ModelNotFound, message).with("model", model))
            }
            None => Ok(()),
        }
    }

    /// The answer. `cancelled` is asked every few microseconds of work; when it says so, the fault is CANCELLED.
    pub fn answer(
        &self,
        table: &Table,
        trace_id: String,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<AnalyzeResponse, Fault> {
        let target = self.target.as_deref();
        let report = analyze(table, &Options { target }, cancelled).map_err(refusal::fault)?;
        Ok(report::response(report, trace_id))
    }
}
