//! The trained model as a file that others can run, checked before anybody sees it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use lepton_analysis::onnx::{Linear, OPSET};
use lepton_analysis::{Column, Table, train};
use lepton_domain::model::Signature;
use lepton_domain::reason::{Fault, Reason};

use super::report::Kept;
use crate::analysis::{predict, refusal};
use crate::model::Backend;
use crate::model::library::Library;

/// How far two predictions may lie apart, relative to the magnitudes that they are summed from.
const DIFFERENCE_MAX: f64 = 1e-9;
/// How long a deploy may take until a request would succeed.
const DEPLOY_PATIENCE: Duration = Duration::from_secs(60);

/// A file that predicts what the training does.
#[derive(Debug)]
pub(super) struct Export {
    file: Bytes,
    signature: Signature,
}

impl Export {
    /// Writes the model, has the backend load it, and compares its predictions with the model's own for every row.
    pub(super) fn of(
        model: &Linear,
        table: &Table,
        backend: &dyn Backend,
        stop: &dyn Fn() -> bool,
    ) -> Result<Self, Fault> {
        let file = Bytes::from(model.encode());
        let loaded = backend.load(&file, stop)?;
        let found = predict::predict(loaded.as_ref(), table, None, stop)?;
        let values = |name: &str| table.column(name).and_then(Column::numbers).unwrap_or_default();
        let columns: Vec<&[f64]> = model.coefficients.iter().map(|(name, _)| values(name)).collect();
        let expected = train::predict(model, &columns, table.rows(), stop).map_err(refusal::fault)?;
        compare(model, &columns, &expected, &found)?;
        Ok(Self {
            file,
            signature: loaded.signature().clone(),
        })
    }

    /// Registers the file, and deploys it where that is asked for.
    pub(super) async fn keep(
        self,
        library: &Library,
        name: &str,
        lineage: BTreeMap<String, String>,
        deploy: bool,
    ) -> Result<Kept, Fault> {
        let (blobs, models) = (library.blobs().await?, &library.models);
        let pushed = models
            .push(&blobs, name, self.file, self.signature, lineage, None)
            .await;
        let (_, version) = pushed?;
        if deploy {
            models
                .deploy(&library.directory, name, Some(version), DEPLOY_PATIENCE)
                .await?;
        }
        Ok(Kept {
            name: name.to_owned(),
            version,
            opset: OPSET,
            deployed: deploy,
        })
    }
}

fn compare(model: &Linear, columns: &[&[f64]], expected: &[f64], found: &[Option<f64>]) -> Result<(), Fault> {
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
        Some(row) => {
            let message = format!(
                "the exported model predicts {:?} for row {row} where the trained one predicts {}; it is not kept",
                found[row], expected[row]
            );
            Err(Fault::new(Reason::Internal, message))
        }
        None => Ok(()),
    }
}
