//! Kind `evaluate`: measures how well a kept model predicts a column of some rows, also a version that is not deployed.
//!
//! Promises: predictions are those of the online call; rows without a prediction or without a target are left out and
//! counted. Leaves matching columns with the model's inputs to [`analysis::predict`](crate::analysis::predict).

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use lepton_analysis::train::Metrics;
use lepton_analysis::{Column, Table};
use lepton_core::blob::Area;
use lepton_domain::model::{Version, check_name};
use lepton_proto::convert::value::read::Reader;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::source::{self, Source};
use super::train::report::PredictionMetrics;
use super::{fields, output, rows};
use crate::analysis::predict;
use crate::cpu_pool::{CpuPool, Stopped};
use crate::error::{Error, InputError, KindError};
use crate::kind::{Failure, Input, Kind, Output};
use crate::model::LoadedModel;
use crate::model::access::ModelAccess;

#[derive(Debug, Clone)]
pub(super) struct Evaluate {
    cpu_pool: CpuPool,
    models: ModelAccess,
}

/// A request to [`Evaluate`].
#[derive(Debug, Clone, PartialEq, Eq)]
struct EvaluateRequest {
    target: String,
    model: String,
    /// The deployed version when absent, or else the newest.
    version: Option<u32>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EvaluateReport {
    metrics: PredictionMetrics,
    /// Rows with a prediction and a target.
    row_count: usize,
    /// Rows in which the target or a feature is missing.
    rows_left_out: usize,
    model: EvaluatedModel,
}

#[derive(Debug, Serialize)]
struct EvaluatedModel {
    name: String,
    version: u32,
}

impl Evaluate {
    /// A kind that computes on `cpu_pool` and finds its models in `models`.
    pub(super) fn new(cpu_pool: CpuPool, models: ModelAccess) -> Self {
        Self { cpu_pool, models }
    }

    async fn attempt(self, input: Input, cancel: CancellationToken) -> Result<Output, Error> {
        let timer = input.timer.clone();
        let content = fields::json_content(input)?;
        let (request, source) = self.compute(&cancel, move |stop| decode(&content, stop)).await?;
        let version = self.version(&request.model, request.version).await?;
        let number = version.number;
        let served = self.models.cache.find_now(&request.model, Some(number)).ok();
        // The version counts where this worker has to fetch it.
        let version_bytes = if served.is_none() { version.bytes } else { 0 };
        let upload_bytes = match &source {
            Source::Rows(_) => 0,
            Source::Blob(_) => source::UPLOAD_BYTES_MAX,
        };
        let fetched = upload_bytes.saturating_add(version_bytes);
        let _reservation = source::reserve(&self.models, fetched, &timer).await;
        let model = match served {
            Some(served) => served.model,
            None => self.load(version, &cancel).await?,
        };
        let upload = source::upload(&self.models, &source).await?;
        let target = request.target;
        let work = move |stop: &dyn Fn() -> bool| {
            let table = source.table(upload, stop)?;
            Ok((measure(model.as_ref(), &table, &target, stop)?, table.rows()))
        };
        let (metrics, rows) = self.compute(&cancel, work).await?;
        output::from_report(&EvaluateReport {
            metrics: metrics.into(),
            row_count: metrics.row_count,
            rows_left_out: rows - metrics.row_count,
            model: EvaluatedModel {
                name: request.model,
                version: number,
            },
        })
    }

    /// Reads the record of a version: the named one, or the deployed one, or else the newest.
    async fn version(&self, name: &str, number: Option<u32>) -> Result<Version, Error> {
        let absent = || KindError::ModelNotFound { name: name.to_owned() };
        let model = self.models.registry.read(name).await?.ok_or_else(absent)?;
        let chosen = match number.or(model.deployed) {
            Some(version) => model.version(version).ok_or_else(|| KindError::VersionNotFound {
                name: name.to_owned(),
                version,
            })?,
            None => model.newest().ok_or_else(absent)?,
        };
        Ok(chosen.clone())
    }

    /// Loads a version's file for this attempt alone.
    async fn load(&self, version: Version, cancel: &CancellationToken) -> Result<Arc<dyn LoadedModel>, Error> {
        let blobs = self.models.blobs().await.ok_or(KindError::BlobStoreClosed)?;
        let file = blobs
            .get_object_checked(Area::Models, &version.blob, version.digest)
            .await?;
        let backend = self.models.backend.clone();
        self.compute(cancel, move |stop| Ok(backend.load(&file, stop)?)).await
    }

    async fn compute<T, W>(&self, cancel: &CancellationToken, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&dyn Fn() -> bool) -> Result<T, Error> + Send + 'static,
    {
        let done = self.cpu_pool.run(cancel, work).await;
        done.map_err(|Stopped| Error::Stopped("the evaluation was stopped"))?
    }
}

impl Kind for Evaluate {
    fn name(&self) -> &'static str {
        "evaluate"
    }

    fn run(&self, input: Input, cancel: CancellationToken) -> BoxFuture<'static, Result<Output, Failure>> {
        let this = Self {
            cpu_pool: self.cpu_pool.timed(&input.timer),
            ..self.clone()
        };
        async move { Ok(this.attempt(input, cancel).await?) }.boxed()
    }
}

fn decode(text: &[u8], cancelled: &dyn Fn() -> bool) -> Result<(EvaluateRequest, Source), Error> {
    let mut reader = Reader::new(text)?;
    if reader.peek()? != b'{' {
        let message = "the input is not an object with rows in `data`, a column in `target` and a name in `model`";
        return Err(InputError::NotJson(message.to_owned()).into());
    }
    reader.open(0)?;
    let (mut table, mut blob, mut target, mut model, mut version) = (None, None, None, None, None);
    while reader.element(b'}')? {
        let key = reader.key()?;
        if reader.peek()? == b'n' {
            reader.word("null")?;
            continue;
        }
        match &*key {
            "data" if table.is_none() => table = Some(rows::decode(&mut reader, cancelled)?),
            "data" => return Err(fields::twice("data")),
            "blob" => blob = Some(fields::text(&mut reader, "blob")?),
            "target" => target = Some(fields::text(&mut reader, "target")?),
            "model" => model = Some(fields::text(&mut reader, "model")?),
            "version" => {
                let number = fields::whole_number(&mut reader, "version", 1.0, f64::from(u32::MAX))?;
                version = Some(number as u32);
            }
            unknown => return Err(fields::unknown(unknown)),
        }
    }
    reader.end()?;
    let source = Source::new(table, blob)?;
    let missing = |field, what: &str| InputError::field(field, format!("is missing: name {what}"));
    let request = EvaluateRequest {
        target: target.ok_or_else(|| missing("target", "the column that the model predicts"))?,
        model: model.ok_or_else(|| missing("model", "the model to judge"))?,
        version,
    };
    let name = &request.model;
    check_name(name).map_err(|_| KindError::ModelNotFound { name: name.clone() })?;
    Ok((request, source))
}

/// Compares a model's predictions with a column.
fn measure(model: &dyn LoadedModel, table: &Table, target: &str, stop: &dyn Fn() -> bool) -> Result<Metrics, Error> {
    let column = table.column(target);
    let column = column.ok_or_else(|| lepton_analysis::Error::TargetNotFound {
        target: target.to_owned(),
        present: table.names(),
    })?;
    let truth = numbers(column, target)?;
    let predictions = predict::predict(model, table, Some(target), stop)?;
    let pairs = truth.iter().zip(predictions).filter(|(truth, _)| !truth.is_nan());
    let pairs: Vec<(f64, f64)> = pairs
        .filter_map(|(truth, predicted)| Some((*truth, predicted?)))
        .collect();
    if pairs.is_empty() {
        return Err(KindError::NoCompleteRow.into());
    }
    Ok(Metrics::of(&pairs))
}

fn numbers<'a>(column: &'a Column, target: &str) -> Result<&'a [f64], lepton_analysis::Error> {
    column
        .numbers()
        .ok_or_else(|| lepton_analysis::Error::TargetNotNumeric {
            target: target.to_owned(),
            kind: column.kind(),
        })
}
