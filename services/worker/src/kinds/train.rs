//! Kind `train`: fits a linear model to rows, measures it, and, where a name is given, keeps it as a version.
//!
//! Promises: the same input gives the same coefficients and the same file, whoever runs it and however often, so that a
//! retry adds no second version; a file is only kept when the backend that will serve it predicts what the training
//! does; no attempt is repeated for an input that is wrong. Leaves reading the input to [`request`], figures to
//! `lepton-analysis`, the file to [`export`], and the output's form to [`report`].

use futures::FutureExt;
use futures::future::BoxFuture;
use lepton_analysis::Table;
use lepton_analysis::train::{Epoch, Trained, train};
use tokio_util::sync::CancellationToken;

use super::source::{self, Source};
use super::{fields, output};
use crate::cpu_pool::{CpuPool, Stopped};
use crate::error::Error;
use crate::kind::{Failure, Input, Kind, Output};
use crate::model::access::ModelAccess;
use crate::progress::Progress;
use export::ExportedModel;
use report::TrainReport;
use request::TrainRequest;

mod export;
pub(super) mod report;
mod request;
#[cfg(test)]
mod tests;

/// Epochs between two progress reports, at most: few enough to be timely, many enough to cost nothing.
const EPOCHS_A_REPORT_MAX: u32 = 64;

#[derive(Debug, Clone)]
pub(super) struct Train {
    cpu_pool: CpuPool,
    models: ModelAccess,
}

impl Train {
    /// A kind that computes on `cpu_pool` and keeps its models in the registry of `models`.
    pub(super) fn new(cpu_pool: CpuPool, models: ModelAccess) -> Self {
        Self { cpu_pool, models }
    }

    async fn attempt(self, input: Input, cancel: CancellationToken) -> Result<Output, Error> {
        let (task, progress, timer) = (input.attempt.task, input.progress.clone(), input.timer.clone());
        let content = fields::json_content(input)?;
        let text = content.clone();
        let decode = move |stop: &dyn Fn() -> bool| request::decode(&text, stop);
        let (request, source) = self.compute(&cancel, decode).await?;
        let fetched = match &source {
            Source::Rows(_) => 0,
            Source::Blob(_) => source::UPLOAD_BYTES_MAX,
        };
        let reservation = source::reserve(&self.models, fetched, &timer).await;
        let upload = source::upload(&self.models, &source).await?;
        let backend = self.models.backend.clone();
        let work = move |stop: &dyn Fn() -> bool| {
            let digest = source::digest(&content, upload.as_ref())?;
            // The text may be a hundred times larger than what is left to do.
            drop(content);
            let table = source.table(upload, stop)?;
            let trained = fit(&request, &table, &progress, stop)?;
            let export = request
                .model
                .is_some()
                .then(|| ExportedModel::new(&trained.model, &table, backend.as_ref(), stop));
            let report = TrainReport::new(&request, &table, trained);
            Ok((report, export.transpose()?, digest, request))
        };
        let (mut report, export, digest, request) = self.compute(&cancel, work).await?;
        drop(reservation);
        if let (Some(name), Some(export)) = (&request.model, export) {
            let lineage = report::lineage(task, digest, &request, &report);
            report.model = Some(export.keep(&self.models, name, lineage, request.deploy).await?);
        }
        output::from_report(&report)
    }

    async fn compute<T, W>(&self, cancel: &CancellationToken, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&dyn Fn() -> bool) -> Result<T, Error> + Send + 'static,
    {
        let done = self.cpu_pool.run(cancel, work).await;
        done.map_err(|Stopped| Error::Stopped("the training was stopped"))?
    }
}

impl Kind for Train {
    fn name(&self) -> &'static str {
        "train"
    }

    fn run(&self, input: Input, cancel: CancellationToken) -> BoxFuture<'static, Result<Output, Failure>> {
        let this = Self {
            cpu_pool: self.cpu_pool.timed(&input.timer),
            ..self.clone()
        };
        async move { Ok(this.attempt(input, cancel).await?) }.boxed()
    }
}

fn fit(
    request: &TrainRequest,
    table: &Table,
    progress: &Progress,
    stop: &dyn Fn() -> bool,
) -> Result<Trained, lepton_analysis::train::Error> {
    let mut on_epoch = |epoch: Epoch| {
        let every = (epoch.limit / 1_000).clamp(1, EPOCHS_A_REPORT_MAX);
        if epoch.number.is_multiple_of(every) || epoch.number == 1 {
            let fraction = f64::from(epoch.number) / f64::from(epoch.limit);
            progress.report(fraction, &[("epoch", f64::from(epoch.number)), ("loss", epoch.loss)]);
        }
    };
    train(table, &request.plan, &mut on_epoch, stop)
}
