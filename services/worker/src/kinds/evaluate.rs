//! Kind `evaluate`: how well a kept model predicts a column of some rows, also a version that is not deployed.
//!
//! Promises: predictions are those that the online call gives; rows without a prediction or without a target are left out
//! and counted. Leaves matching columns with the model's inputs to `analysis::predict`.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use lepton_analysis::train::Metrics;
use lepton_analysis::{Column, ColumnType, Table};
use lepton_core::blob::Area;
use lepton_domain::model::{Version, check_name, not_found, version_not_found};
use lepton_domain::reason::{Fault, Reason};
use lepton_proto::convert::value::read::Reader;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::analyze::decode;
use super::source::{self, Source};
use super::train::report::Figures;
use super::train::{ask::whole, output, text};
use crate::analysis::{predict, refusal};
use crate::compute::{Compute, Stopped};
use crate::kind::{Failure, Input, Kind, Output};
use crate::memory::Held;
use crate::model::Loaded;
use crate::model::library::Library;
use crate::stopwatch::Stopwatch;

/// The kind.
#[derive(Debug, Clone)]
pub struct Evaluate {
    compute: Compute,
    library: Library,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ask {
    target: String,
    model: String,
    /// The deployed version when absent, or else the newest.
    version: Option<u32>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    metrics: Figures,
    /// Rows that were judged.
    row_count: usize,
    /// Rows in which the target or a feature is missing.
    rows_left_out: usize,
    model: Judged,
}

#[derive(Debug, Serialize)]
struct Judged {
    name: String,
    version: u32,
}

impl Evaluate {
    /// It computes on `compute` and finds its models in `library`.
    pub fn new(compute: Compute, library: Library) -> Self {
        Self { compute, library }
    }

    async fn attempt(self, input: Input, cancel: CancellationToken) -> Result<Output, Fault> {
        let stopwatch = input.stopwatch.clone();
        let content = text(input)?;
        let (ask, source) = self.compute(&cancel, move |stop| read(&content, stop)).await?;
        let version = self.version(&ask.model, ask.version).await?;
        let served = self.library.host.look(&ask.model, Some(version.number)).ok();
        let _held = self
            .room_for(&source, served.is_none().then_some(&version), &stopwatch)
            .await;
        let number = version.number;
        let model = match served {
            Some(served) => served.model,
            None => self.load(version, &cancel).await?,
        };
        let upload = match &source {
            Source::Rows(_) => None,
            Source::Blob(blob) => Some(source::upload(&self.library, blob).await?),
        };
        let target = ask.target;
        let work = move |stop: &dyn Fn() -> bool| {
            let table = match (source, upload) {
                (Source::Rows(table), _) => table,
                (Source::Blob(_), upload) => source::read(&upload.unwrap_or_default(), stop)?,
            };
            Ok((judge(model.as_ref(), &table, &target, stop)?, table.rows()))
        };
        let (metrics, rows) = self.compute(&cancel, work).await?;
        output(&Report {
            metrics: metrics.into(),
            row_count: metrics.row_count,
            rows_left_out: rows - metrics.row_count,
            model: Judged {
                name: ask.model,
                version: number,
            },
        })
    }

    /// Fails with MODEL_NOT_FOUND.
    async fn version(&self, name: &str, number: Option<u32>) -> Result<Version, Fault> {
        let model = self.library.models.read(name).await?.ok_or_else(|| not_found(name))?;
        let chosen = match number.or(model.deployed) {
            Some(number) => model.version(number).ok_or_else(|| version_not_found(name, number))?,
            None => model.newest().ok_or_else(|| not_found(name))?,
        };
        Ok(chosen.clone())
    }

    /// Waits until there is memory for what has to be fetched: an upload, and the model where this worker has it not.
    async fn room_for(&self, source: &Source, version: Option<&Version>, stopwatch: &Stopwatch) -> Option<Held> {
        let upload = match source {
            Source::Rows(_) => 0,
            Source::Blob(_) => source::UPLOAD_BYTES_MAX,
        };
        match upload.saturating_add(version.map_or(0, |version| version.bytes)) {
            0 => None,
            bytes => Some(self.library.memory.take(bytes, stopwatch).await),
        }
    }

    /// A version's file, made ready for this once.
    async fn load(&self, version: Version, cancel: &CancellationToken) -> Result<Arc<dyn Loaded>, Fault> {
        let blobs = self.library.blobs().await?;
        let file = blobs
            .get_object_checked(Area::Models, &version.blob, version.digest)
            .await?;
        let backend = self.library.backend.clone();
        self.compute(cancel, move |stop| backend.load(&file, stop)).await
    }

    async fn compute<T, W>(&self, cancel: &CancellationToken, work: W) -> Result<T, Fault>
    where
        T: Send + 'static,
        W: FnOnce(&dyn Fn() -> bool) -> Result<T, Fault> + Send + 'static,
    {
        let done = self.compute.run(cancel, work).await;
        done.map_err(|Stopped| Fault::new(Reason::Cancelled, "the evaluation was stopped"))?
    }
}

impl Kind for Evaluate {
    fn name(&self) -> &'static str {
        "evaluate"
    }

    fn run(&self, input: Input, cancel: CancellationToken) -> BoxFuture<'static, Result<Output, Failure>> {
        let this = Self {
            compute: self.compute.timed(&input.stopwatch),
            ..self.clone()
        };
        async move { Ok(this.attempt(input, cancel).await?) }.boxed()
    }
}

fn read(text: &[u8], cancelled: &dyn Fn() -> bool) -> Result<(Ask, Source), Fault> {
    let mut reader = Reader::new(text)?;
    if reader.peek()? != b'{' {
        let message = "the input is not an object with rows in `data`, a column in `target` and a name in `model`";
        return Err(Fault::new(Reason::InvalidJson, message));
    }
    reader.open(0)?;
    let (mut rows, mut blob, mut target, mut model, mut version) = (None, None, None, None, None);
    while reader.element(b'}')? {
        let key = reader.key()?;
        if reader.peek()? == b'n' {
            reader.word("null")?;
            continue;
        }
        match &*key {
            "data" if rows.is_none() => rows = Some(decode::rows(&mut reader, cancelled)?),
            "data" => return Err(Fault::field("data", "rows are given twice")),
            "blob" => blob = Some(decode::text_field(&mut reader, "blob")?),
            "target" => target = Some(decode::text_field(&mut reader, "target")?),
            "model" => model = Some(decode::text_field(&mut reader, "model")?),
            "version" => version = Some(whole(&mut reader, "version", 1.0, f64::from(u32::MAX))? as u32),
            unknown => return Err(decode::unknown_field(unknown)),
        }
    }
    reader.end()?;
    let source = Source::of(rows, blob)?;
    let missing = |field: &str, what: &str| Fault::field(field, format!("is missing: name {what}"));
    let ask = Ask {
        target: target.ok_or_else(|| missing("target", "the column that the model predicts"))?,
        model: model.ok_or_else(|| missing("model", "the model to judge"))?,
        version,
    };
    check_name(&ask.model).map_err(|_| not_found(&ask.model))?;
    Ok((ask, source))
}

fn judge(model: &dyn Loaded, table: &Table, target: &str, stop: &dyn Fn() -> bool) -> Result<Metrics, Fault> {
    let column = table.column(target);
    let absent = || lepton_analysis::Error::TargetNotFound {
        target: target.to_owned(),
    };
    let column = column.ok_or_else(absent).map_err(refusal::fault)?;
    let truth = numbers(column, target)?;
    let predictions = predict::predict(model, table, Some(target), stop)?;
    let pairs = truth.iter().zip(predictions).filter(|(truth, _)| !truth.is_nan());
    let pairs: Vec<(f64, f64)> = pairs
        .filter_map(|(truth, predicted)| Some((*truth, predicted?)))
        .collect();
    if pairs.is_empty() {
        let message = "no row has both the target and everything that the model needs";
        return Err(Fault::new(Reason::NoRows, message));
    }
    Ok(Metrics::of(&pairs))
}

fn numbers<'a>(column: &'a Column, target: &str) -> Result<&'a [f64], Fault> {
    column.numbers().ok_or_else(|| {
        let kind: ColumnType = column.kind();
        refusal::fault(lepton_analysis::Error::TargetNotNumeric {
            target: target.to_owned(),
            kind,
        })
    })
}
