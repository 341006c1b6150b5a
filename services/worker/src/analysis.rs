//! One analysis, online or as a task: its parameters, and its response on the wire.
//!
//! Promises: the same parameters over the same rows give the same response, whichever way they came. Leaves the figures
//! to `lepton-analysis`, and threads and queues to the caller.

use lepton_analysis::{Options, Table, analyze};
use lepton_proto::analysis::v1::{AnalyzeResponse, Consistency};

use crate::error::{Error, InputError};
use crate::model::LoadedModel;

pub(crate) mod predict;
pub(crate) mod report;
pub(crate) mod table;

/// Parameters of an analysis beside the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AnalyzeParams {
    /// Column to fit.
    pub(crate) target: Option<String>,
    /// Model that predicts; see [`predict`].
    pub(crate) model: Option<String>,
    /// Number of workers that must agree.
    pub(crate) consistency: Consistency,
}

impl AnalyzeParams {
    /// Checks that this worker supports the parameters.
    pub(crate) fn check(&self) -> Result<(), InputError> {
        match self.consistency {
            Consistency::Quorum => Err(InputError::Consistency),
            _ => Ok(()),
        }
    }

    /// Analyses a table; `model` is the one of [`AnalyzeParams::model`]. `cancelled` is polled every few microseconds of
    /// work, and while a model runs before each of its nodes.
    pub(crate) fn run(
        &self,
        table: &Table,
        model: Option<&dyn LoadedModel>,
        trace_id: String,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<AnalyzeResponse, Error> {
        let target = self.target.as_deref();
        // First, as it may refuse the rows.
        let predictions = model
            .map(|model| predict::predict(model, table, target, cancelled))
            .transpose()?;
        let report = analyze(table, &Options { target }, cancelled)?;
        Ok(report::response(report, predictions.unwrap_or_default(), trace_id))
    }
}
