//! Report of a training, in the form of the task's output and of a version's lineage.
//!
//! Promises: figures that are not defined are absent. Lineage is bounded: long names are cut.

use std::collections::BTreeMap;

use lepton_analysis::Table;
use lepton_analysis::train::{Method, Metrics, Trained};
use lepton_domain::ids::TaskId;
use lepton_domain::text::cut;
use serde::Serialize;
use serde_json::json;

use super::request::TrainRequest;
use crate::analysis::report;

/// Longest name of a target in a lineage, in bytes.
const NAME_BYTES_MAX: usize = 256;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TrainReport {
    intercept: f64,
    coefficients: BTreeMap<String, f64>,
    /// Columns in the order in which the exported model takes them.
    features: Vec<String>,
    metrics: Split,
    method: &'static str,
    #[serde(flatten)]
    descent: Option<Descended>,
    loss_history: Vec<f64>,
    /// Rows that were used, to train and to test.
    row_count: usize,
    /// Rows in which the target or a feature is missing.
    rows_left_out: usize,
    cleaned: Vec<Cleaned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<KeptVersion>,
}

#[derive(Debug, Serialize)]
struct Split {
    train: PredictionMetrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<PredictionMetrics>,
}

/// Metrics of predictions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kinds) struct PredictionMetrics {
    #[serde(skip_serializing_if = "Option::is_none")]
    r2: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mse: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mae: Option<f64>,
    row_count: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Descended {
    learning_rate: f64,
    epochs: u32,
    converged: bool,
    /// Epochs from one entry of the history to the next; the last one is always there.
    loss_every: u32,
}

#[derive(Debug, Serialize)]
struct Cleaned {
    column: String,
    action: &'static str,
    count: usize,
}

/// The version that was kept.
#[derive(Debug, Serialize)]
pub(super) struct KeptVersion {
    pub(super) name: String,
    pub(super) version: u32,
    /// Operator set that the file imports.
    pub(super) opset: i64,
    pub(super) deployed: bool,
}

impl TrainReport {
    /// A report without a kept version.
    pub(super) fn new(request: &TrainRequest, table: &Table, trained: Trained) -> Self {
        from_trained(request, table, trained)
    }
}

impl From<Metrics> for PredictionMetrics {
    fn from(metrics: Metrics) -> Self {
        Self {
            r2: metrics.r2,
            mse: metrics.mse,
            mae: metrics.mae,
            row_count: metrics.row_count,
        }
    }
}

/// The output of a training, before anything is kept.
fn from_trained(request: &TrainRequest, table: &Table, trained: Trained) -> TrainReport {
    let used = trained.train.row_count + trained.test.map_or(0, |test| test.row_count);
    let cleaned = trained.cleaned.into_iter().map(|one| {
        let count = one.count;
        let cleaned = report::cleaned(one);
        Cleaned {
            action: cleaned.action().as_str_name(),
            column: cleaned.column,
            count,
        }
    });
    let features: Vec<String> = trained
        .model
        .coefficients
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    let losses = trained.losses;
    let descent = match request.plan.method {
        Method::ClosedForm => None,
        Method::GradientDescent(_) => Some(Descended {
            learning_rate: losses.learning_rate,
            epochs: losses.epochs,
            converged: losses.converged,
            loss_every: losses.every,
        }),
    };
    TrainReport {
        intercept: trained.model.intercept,
        coefficients: trained.model.coefficients.into_iter().collect(),
        features,
        metrics: Split {
            train: trained.train.into(),
            test: trained.test.map(PredictionMetrics::from),
        },
        method: method_name(request.plan.method),
        descent,
        // A cost beyond the largest double has no form in JSON. Costs fall, so only the first ones can be.
        loss_history: losses.points.into_iter().filter(|loss| loss.is_finite()).collect(),
        row_count: used,
        rows_left_out: table.rows() - used,
        cleaned: cleaned.collect(),
        model: None,
    }
}

fn method_name(method: Method) -> &'static str {
    match method {
        Method::ClosedForm => "closed_form",
        Method::GradientDescent(_) => "gradient_descent",
    }
}

/// Lineage of a version: its task, its data and its parameters.
pub(super) fn lineage(
    task: TaskId,
    data_digest: String,
    request: &TrainRequest,
    report: &TrainReport,
) -> BTreeMap<String, String> {
    let plan = &request.plan;
    let mut parameters = json!({
        "algorithm": "linear",
        "target": cut(&plan.target, NAME_BYTES_MAX),
        "features": report.features.len(),
        "testShare": plan.test_share,
        "seed": plan.seed,
    });
    if let (Method::GradientDescent(descent), Some(end)) = (plan.method, &report.descent) {
        parameters["learningRate"] = end.learning_rate.into();
        parameters["epochs"] = descent.epochs.into();
        parameters["tolerance"] = descent.tolerance.into();
    }
    let metrics = serde_json::to_string(&report.metrics).unwrap_or_default();
    BTreeMap::from([
        ("task".to_owned(), task.to_string()),
        ("dataDigest".to_owned(), data_digest),
        ("method".to_owned(), report.method.to_owned()),
        ("parameters".to_owned(), parameters.to_string()),
        ("metrics".to_owned(), metrics),
    ])
}
