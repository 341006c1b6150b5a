//! Kind `train`: learns a linear model from rows, judges it, and, where a name is given, keeps it as a version.
//!
//! Promises: the same input gives the same coefficients and the same file, whoever runs it and however often, so that a
//! retry adds no second version; a file is only kept when the backend that will serve it predicts what the training
//! does; no attempt is repeated for an input that is wrong. Leaves reading the input to `ask`, figures to
//! `lepton-analysis`, the file to `export`, and the output's form to `report`.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use lepton_analysis::Table;
use lepton_analysis::train::{Epoch, Trained, train};
use lepton_domain::reason::{Fault, Reason};
use lepton_domain::task::Encoding;
use tokio_util::sync::CancellationToken;

use super::source::{self, Source};
use crate::compute::{Compute, Stopped};
use crate::kind::{Failure, Input, Kind, Output};
use crate::model::library::Library;
use crate::progress::Progress;
use ask::Ask;
use export::Export;

pub(super) mod ask;
mod export;
mod refusal;
pub(super) mod report;
#[cfg(test)]
mod tests;

/// Epochs between two words about progress, at most: few enough to be told in time, many enough to cost nothing.
const EPOCHS_UNTOLD_MAX: u32 = 64;

/// The kind.
#[derive(Debug, Clone)]
pub struct Train {
    compute: Compute,
    library: Library,
}

impl Train {
    /// It computes on `compute` and keeps its models in `library`.
    pub fn new(compute: Compute, library: Library) -> Self {
        Self { compute, library }
    }

    async fn attempt(self, input: Input, cancel: CancellationToken) -> Result<Output, Fault> {
        let (task, progress, stopwatch) = (input.attempt.task, input.progress.clone(), input.stopwatch.clone());
        let content = text(input)?;
        let given = content.clone();
        let (ask, source) = self.compute(&cancel, move |stop| ask::read(&given, stop)).await?;
        let mut held = None;
        let upload = match &source {
            Source::Rows(_) => None,
            Source::Blob(blob) => {
                held = Some(self.library.memory.take(source::UPLOAD_BYTES_MAX, &stopwatch).await);
                Some(source::upload(&self.library, blob).await?)
            }
        };
        let backend = self.library.backend.clone();
        let work = move |stop: &dyn Fn() -> bool| {
            let digest = source::digest(&content, upload.as_ref())?;
            // The text may be a hundred times larger than what is left to do.
            drop(content);
            let table = match (source, upload) {
                (Source::Rows(table), _) => table,
                (Source::Blob(_), upload) => source::read(&upload.unwrap_or_default(), stop)?,
            };
            let trained = learn(&ask, &table, &progress, stop)?;
            let export = ask
                .model
                .is_some()
                .then(|| Export::of(&trained.model, &table, backend.as_ref(), stop));
            Ok((report::of(&ask, &table, trained), export.transpose()?, digest, ask))
        };
        let (mut report, export, digest, ask) = self.compute(&cancel, work).await?;
        drop(held);
        if let (Some(name), Some(export)) = (&ask.model, export) {
            let lineage = report::lineage(task, digest, &ask, &report);
            report.model = Some(export.keep(&self.library, name, lineage, ask.deploy).await?);
        }
        output(&report)
    }

    async fn compute<T, W>(&self, cancel: &CancellationToken, work: W) -> Result<T, Fault>
    where
        T: Send + 'static,
        W: FnOnce(&dyn Fn() -> bool) -> Result<T, Fault> + Send + 'static,
    {
        let done = self.compute.run(cancel, work).await;
        done.map_err(|Stopped| Fault::new(Reason::Cancelled, "the training was stopped"))?
    }
}

impl Kind for Train {
    fn name(&self) -> &'static str {
        "train"
    }

    fn run(&self, input: Input, cancel: CancellationToken) -> BoxFuture<'static, Result<Output, Failure>> {
        let this = Self {
            compute: self.compute.timed(&input.stopwatch),
            ..self.clone()
        };
        async move { Ok(this.attempt(input, cancel).await?) }.boxed()
    }
}

/// The text of an input that has to be JSON.
pub(super) fn text(input: Input) -> Result<Bytes, Fault> {
    if input.encoding == Encoding::Json {
        return Ok(input.content);
    }
    let message = "the input is binary; it takes JSON with rows in `data`, or the name of an upload in `blob`";
    Err(Fault::new(Reason::InvalidJson, message))
}

fn learn(ask: &Ask, table: &Table, progress: &Progress, stop: &dyn Fn() -> bool) -> Result<Trained, Fault> {
    let mut told = |epoch: Epoch| {
        let every = (epoch.limit / 1_000).clamp(1, EPOCHS_UNTOLD_MAX);
        if epoch.number.is_multiple_of(every) || epoch.number == 1 {
            let fraction = f64::from(epoch.number) / f64::from(epoch.limit);
            progress.say(fraction, &[("epoch", f64::from(epoch.number)), ("loss", epoch.loss)]);
        }
    };
    train(table, &ask.plan, &mut told, stop).map_err(refusal::fault)
}

/// An output in the form in which tasks keep it.
pub(super) fn output(report: &impl serde::Serialize) -> Result<Output, Fault> {
    let broken = |error: &dyn std::fmt::Display| Fault::new(Reason::Internal, format!("the answer: {error}"));
    let text = serde_json::to_vec(report).map_err(|error| broken(&error))?;
    let content = lepton_proto::convert::value::compact(&text).map_err(|error| broken(&error))?;
    Ok(Output {
        encoding: Encoding::Json,
        content,
    })
}
