//! Predictions of a model for the rows of a table.
//!
//! A model's inputs are matched with columns in one of three ways, in this order:
//! 1. the file's property `lepton.features`, a JSON list, names the columns along the last axis of its one input;
//! 2. every input has the name of a column and takes one value a row;
//! 3. its one input takes as many numbers a row as there are columns of numbers, the target left out.
//!
//! Promises: a row that lacks a value gets no prediction and is not given to the model. Columns that cannot be matched
//! are a [`PredictError::Mismatch`], which names what the model takes.

use std::fmt;

use lepton_analysis::{Column, Table};
use lepton_domain::model::{DataType, Signature, Tensor as TensorSpec};

use crate::error::{Error, PredictError};
use crate::model::signature::{describe_all, order_inputs};
use crate::model::tensor::element_count;
use crate::model::{LoadedModel, Tensor};
use features::{FeatureValues, InputFeatures};

mod features;
#[cfg(test)]
mod tests;

/// Property of a file that names columns.
const FEATURES: &str = "lepton.features";
/// Rows of one run: enough that starting it costs nothing, few enough that a cancellation acts in time.
const ROWS_AT_ONCE: usize = 8_192;

/// Predicts one number a row, none where a feature is missing. `cancelled` is polled between runs and by the model.
pub(crate) fn predict(
    model: &dyn LoadedModel,
    table: &Table,
    target: Option<&str>,
    cancelled: &dyn Fn() -> bool,
) -> Result<Vec<Option<f64>>, Error> {
    let features = match_columns(model, table, target)?;
    let complete: Vec<usize> = (0..table.rows())
        .filter(|row| features.iter().all(|it| it.is_complete(*row)))
        .collect();
    let mut predictions = vec![None; table.rows()];
    // A model that was exported for one row takes one at a time.
    let rows_at_once = match features.iter().any(|feature| feature.rows_max == 1) {
        true => 1,
        false => ROWS_AT_ONCE,
    };
    for rows in complete.chunks(rows_at_once) {
        if cancelled() {
            return Err(Error::Stopped("the analysis was stopped"));
        }
        let inputs = features
            .iter()
            .map(|feature| feature.tensor(rows))
            .collect::<Result<_, _>>()?;
        let inputs = order_inputs(model.signature(), inputs)?;
        let outputs = model.run(inputs, cancelled)?;
        let predicted = first_numbers(outputs, rows.len()).ok_or_else(|| not_numbers(model.signature()))?;
        for (row, number) in rows.iter().zip(predicted) {
            // JSON has no NaN and no infinity; a prediction that is none is absent.
            predictions[*row] = Some(number).filter(|number| number.is_finite());
        }
    }
    Ok(predictions)
}

/// Numbers of the first output that has one a row.
fn first_numbers(outputs: Vec<Tensor>, rows: usize) -> Option<Vec<f64>> {
    let of_rows =
        |tensor: &Tensor| tensor.shape().first() == Some(&rows) && element_count(tensor.shape()) == Some(rows);
    outputs
        .iter()
        .filter(|tensor| of_rows(tensor))
        .find_map(Tensor::numbers)
}

fn match_columns<'a>(
    model: &dyn LoadedModel,
    table: &'a Table,
    target: Option<&str>,
) -> Result<Vec<InputFeatures<'a>>, PredictError> {
    let signature = model.signature();
    if let Some(names) = model.metadata().get(FEATURES) {
        return by_property(signature, names, table).map(|features| vec![features]);
    }
    if let Some(features) = by_names(signature, table)? {
        return Ok(features);
    }
    by_number(signature, table, target).map(|features| vec![features])
}

/// Columns that the file names.
fn by_property<'a>(signature: &Signature, names: &str, table: &'a Table) -> Result<InputFeatures<'a>, PredictError> {
    let names: Vec<String> = serde_json::from_str(names).map_err(|_| {
        mismatch(
            signature,
            format_args!("its property {FEATURES:?} is no JSON list of texts"),
        )
    })?;
    let Some((input, rows_max)) = matrix(signature, names.len()) else {
        let (found, length) = (FEATURES, names.len());
        return Err(mismatch(
            signature,
            format_args!("its property {found:?} names {length} columns"),
        ));
    };
    let column = |name: &String| {
        let absent = || mismatch_of_column(signature, name, format_args!("there is no column {name:?}"));
        table.column(name).ok_or_else(absent)
    };
    let columns = names.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    numbers(signature, input, columns, rows_max)
}

/// Inputs with the names of columns, if all have such names.
fn by_names<'a>(signature: &Signature, table: &'a Table) -> Result<Option<Vec<InputFeatures<'a>>>, PredictError> {
    let pairs: Option<Vec<(&TensorSpec, &Column, usize)>> = signature
        .inputs
        .iter()
        .map(|input| Some((input, table.column(&input.name)?, rows_max(&input.shape, 1)?)))
        .collect();
    let Some(pairs) = pairs.filter(|pairs| !pairs.is_empty()) else {
        return Ok(None);
    };
    let feature = |(input, column, rows_max): (&TensorSpec, &'a Column, usize)| match input.datatype {
        DataType::Bytes => Ok(InputFeatures {
            input: input.clone(),
            values: FeatureValues::texts(column).ok_or_else(|| unfit(signature, input, column))?,
            rows_max,
        }),
        _ => numbers(signature, input, vec![column], rows_max),
    };
    pairs.into_iter().map(feature).collect::<Result<_, _>>().map(Some)
}

/// All columns of numbers, if the model takes that many.
fn by_number<'a>(
    signature: &Signature,
    table: &'a Table,
    target: Option<&str>,
) -> Result<InputFeatures<'a>, PredictError> {
    let columns = table.columns().iter().filter(|column| column.numbers().is_some());
    let columns: Vec<&Column> = columns.filter(|column| Some(column.name()) != target).collect();
    match matrix(signature, columns.len()) {
        Some((input, rows_max)) => numbers(signature, input, columns, rows_max),
        None => {
            let names: Vec<&str> = columns.iter().take(32).map(|column| column.name()).collect();
            let count = columns.len();
            Err(mismatch(
                signature,
                format_args!("the rows have {count} columns of numbers besides the target, {names:?}"),
            ))
        }
    }
}

/// The one input of a model that takes this many numbers a row, and the number of rows that it takes at once.
fn matrix(signature: &Signature, width: usize) -> Option<(&TensorSpec, usize)> {
    let [input] = signature.inputs.as_slice() else {
        return None;
    };
    let [_, last] = input.shape.as_slice() else { return None };
    let wide = *last == -1 || usize::try_from(*last) == Ok(width);
    (wide && width > 0).then_some(())?;
    Some((input, rows_max(&input.shape, width)?))
}

/// Number of rows that an input of this shape takes at once, if it takes `width` values a row.
fn rows_max(shape: &[i64], width: usize) -> Option<usize> {
    let fits = |last: i64| last == -1 || usize::try_from(last) == Ok(width);
    let rows = match shape {
        [rows] if width == 1 => rows,
        [rows, last] if fits(*last) => rows,
        _ => return None,
    };
    match rows {
        -1 => Some(usize::MAX),
        1 => Some(1),
        _ => None,
    }
}

fn numbers<'a>(
    signature: &Signature,
    input: &TensorSpec,
    columns: Vec<&'a Column>,
    rows_max: usize,
) -> Result<InputFeatures<'a>, PredictError> {
    let values = FeatureValues::numbers(&columns, input.datatype).map_err(|column| unfit(signature, input, column))?;
    Ok(InputFeatures {
        input: input.clone(),
        values,
        rows_max,
    })
}

fn unfit(signature: &Signature, input: &TensorSpec, column: &Column) -> PredictError {
    let (name, kind) = (column.name(), column.kind());
    let problem = format_args!(
        "column {name:?} is {kind}, and input {:?} is {}",
        input.name, input.datatype
    );
    mismatch_of_column(signature, name, problem)
}

fn not_numbers(signature: &Signature) -> PredictError {
    PredictError::NotNumbers {
        gives: describe_all(&signature.outputs),
    }
}

fn mismatch(signature: &Signature, problem: fmt::Arguments<'_>) -> PredictError {
    PredictError::Mismatch {
        column: None,
        problem: problem.to_string(),
        takes: describe_all(&signature.inputs),
    }
}

fn mismatch_of_column(signature: &Signature, column: &str, problem: fmt::Arguments<'_>) -> PredictError {
    PredictError::Mismatch {
        column: Some(column.to_owned()),
        problem: problem.to_string(),
        takes: describe_all(&signature.inputs),
    }
}
