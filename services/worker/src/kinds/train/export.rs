//! Export of the trained model as a file that others can run, checked before it is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use lepton_analysis::onnx::{Linear, OPSET};
use lepton_analysis::{Column, Table, train};
use lepton_domain::model::Signature;

use super::report::KeptVersion;
use crate::analysis::predict;
use crate::error::{Error, KindError};
use crate::model::Backend;
use crate::model::access::ModelAccess;

/// Largest difference of two predictions, relative to the magnitudes that they are summed from.
const DIFFERENCE_MAX: f64 = 1e-9;
/// Longest time of a deploy until a request would succeed.
const DEPLOY_PATIENCE: Duration = Duration::from_secs(60);

/// A file that predicts what the trained [`Linear`] model does.
#[derive(Debug)]
pub(super) struct ExportedModel {
    file: Bytes,
    signature: Signature,
}

impl ExportedModel {
    /// Writes the model, has the backend load it, and compares its predictions with the model's own for every row.
    pub(super) fn new(
        model: &Linear,
        table: &Table,
        backend: &dyn Backend,
        stop: &dyn Fn() -> bool,
    ) -> Result<Self, Error> {
        let file = Bytes::from(model.encode());
        let loaded = backend.load(&file, stop)?;
        let found = predict::predict(loaded.as_ref(), table, None, stop)?;
        let values = |name: &str| table.column(name).and_then(Column::numbers).unwrap_or_default();
        let columns: Vec<&[f64]> = model.coefficients.iter().map(|(name, _)| values(name)).collect();
        let expected = train::predict(model, &columns, table.rows(), stop)?;
        compare(model, &columns, &expected, &found)?;
        Ok(Self {
            file,
            signature: loaded.signature().clone(),
        })
    }

    /// Registers the file, and deploys it where that is requested.
    pub(super) async fn keep(
        self,
        models: &ModelAccess,
        name: &str,
        lineage: BTreeMap<String, String>,
        deploy: bool,
    ) -> Result<KeptVersion, Error> {
        let blobs = models.blobs().await.ok_or(KindError::BlobStoreClosed)?;
        let registry = &models.registry;
        let pushed = registry
            .push(&blobs, name, self.file, self.signature, lineage, None)
            .await;
        let (_, version) = pushed?;
        if deploy {
            registry
                .deploy(&models.directory, name, Some(version), DEPLOY_PATIENCE)
                .await?;
        }
        Ok(KeptVersion {
            name: name.to_owned(),
            version,
            opset: OPSET,
            deployed: deploy,
        })
    }
}

fn compare(model: &Linear, columns: &[&[f64]], expected: &[f64], found: &[Option<f64>]) -> Result<(), KindError> {
    let agrees = |row: usize| match found[row] {
        Some(found) => {
            let terms = columns
                .iter()
                .zip(&model.coefficients)
                .map(|(column, (_, value))| (column[row] * value).abs());
            let magnitude = terms.sum::<f64>() + model.intercept.abs();
            (expected[row] - found).abs() <= DIFFERENCE_MAX * magnitude.max(1.0)
        }
        None => !expected[row].is_finite(),
    };
    match (0..expected.len()).find(|row| !agrees(*row)) {
        Some(row) => Err(KindError::ExportDiffers {
            row,
            exported: found[row],
            trained: expected[row],
        }),
        None => Ok(()),
    }
}
