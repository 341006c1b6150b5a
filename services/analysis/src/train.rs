//! Training a linear model of a target column, and judging it on rows that it has not seen.
//!
//! The rules, so that another program can reach the same answer:
//!
//! 1. The features are those named, or else all other columns of numbers or booleans, in column order. A named feature
//!    must be such a column.
//! 2. A row counts when the target and all features are present. An incomplete row is counted once, under the first of
//!    target and features, in the table's order, that is missing in it.
//! 3. Of n rows that count, ceil(n * test share) are held back ([`split`]). The others train.
//! 4. There must be more training rows than features that vary over them, and the target must vary.
//! 5. A feature that is constant over the training rows has the coefficient 0. So has, in closed form, one that is
//!    collinear with those before it (rule 4 of [`crate::linear`]): predictions are those of the solution of least norm
//!    wherever the collinearity holds.
//!
//! The choice of rows that are held back: a Fisher-Yates shuffle of 0..n of which the first places are taken. For place i the other
//! place is i + floor(r * (n - i) / 2^64), with r the next number of SplitMix64 seeded with the seed.

mod descent;
mod error;
mod metrics;
mod split;

use std::collections::HashMap;

use crate::chunk::{CHUNK, Cancelled, check};
use crate::column::ColumnType;
use crate::linear::design::{Design, Removed, complete_rows, near_constant};
use crate::linear::{self, Cleaned, CleaningAction, closed};
use crate::onnx::Linear;
use crate::{Column, Table};
use descent::Losses;

pub use descent::{Descent, Epoch, default_rate};
pub use error::Error;
pub use metrics::Metrics;

/// Options of [`train`].
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// The column to predict.
    pub target: String,
    /// The columns to predict it from; `None` for every other column of numbers.
    pub features: Option<Vec<String>>,
    /// The method of training.
    pub method: Method,
    /// The share of the rows that is held back, from 0 up to 1.
    pub test_share: f64,
    /// Decides which rows are held back.
    pub seed: u64,
}

/// The method by which coefficients are found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// By a QR decomposition.
    ClosedForm,
    /// Step by step.
    GradientDescent(Descent),
}

/// The result of [`train`].
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The model, in the units of the data.
    pub model: Linear,
    /// [`Metrics`] over the rows that it was made from.
    pub train: Metrics,
    /// [`Metrics`] over the rows that were held back, if any were.
    pub test: Option<Metrics>,
    /// The costs along the descent.
    pub losses: Losses,
    /// Columns and rows that were left out, in column order.
    pub cleaned: Vec<Cleaned>,
}

/// Trains a [`Linear`] model. Calls `on_epoch` after every [`Epoch`], and `cancelled` every few microseconds.
///
/// # Errors
/// Those of [`Error`].
pub fn train(
    table: &Table,
    options: &TrainOptions,
    on_epoch: &mut dyn FnMut(Epoch),
    cancelled: Cancelled<'_>,
) -> Result<Trained, Error> {
    if table.rows() == 0 {
        return Err(crate::Error::NoRows.into());
    }
    let target = linear::target(table, &options.target)?;
    let features = features(table, target, options.features.as_deref())?;
    let mut removed = Vec::new();
    let rows = Rows::of(table, target, &features, options, &mut removed, cancelled)?;
    let columns = table.columns();
    let design = Design::over(columns, target, &features, rows.train, &mut removed, cancelled)?;
    let design = design.ok_or(Error::TooFewRows { found: 0, needed: 2 })?;
    enough(&design, &options.target)?;
    let (intercept, coefficients, losses) = fit(&design, options.method, on_epoch, &mut removed, cancelled)?;
    let model = model(columns, &features, &design, intercept, &coefficients)?;
    let judged = |marks: &Option<Vec<bool>>| judge(columns, target, &features, &model, marks.as_deref(), cancelled);
    let train = judged(design.marks())?;
    let test = if rows.test.is_some() {
        Some(judged(&rows.test)?)
    } else {
        None
    };
    removed.sort_unstable();
    Ok(Trained {
        model,
        train,
        test,
        losses,
        cleaned: linear::cleaned(columns, removed),
    })
}

/// The columns that the options name, or every other column of numbers.
fn features(table: &Table, target: usize, named: Option<&[String]>) -> Result<Vec<usize>, Error> {
    let columns = table.columns();
    let numeric = |column: &Column| matches!(column.kind(), ColumnType::Number | ColumnType::Boolean);
    let Some(named) = named else {
        let others = (0..columns.len()).filter(|&index| index != target && numeric(&columns[index]));
        let found: Vec<usize> = others.collect();
        return if found.is_empty() {
            Err(Error::NoFeature)
        } else {
            Ok(found)
        };
    };
    let places: HashMap<&str, usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| (column.name(), index))
        .collect();
    let mut found = Vec::with_capacity(named.len());
    let mut taken = vec![false; columns.len()];
    for name in named {
        let feature = || name.clone();
        let &index = places.get(name.as_str()).ok_or_else(|| Error::FeatureNotFound {
            feature: feature(),
            present: table.names(),
        })?;
        if index == target {
            return Err(Error::FeatureIsTarget { feature: feature() });
        }
        if std::mem::replace(&mut taken[index], true) {
            return Err(Error::FeatureTwice { feature: feature() });
        }
        if !numeric(&columns[index]) {
            let kind = columns[index].kind();
            return Err(Error::FeatureNotNumeric {
                feature: feature(),
                kind,
            });
        }
        found.push(index);
    }
    if found.is_empty() {
        Err(Error::NoFeature)
    } else {
        Ok(found)
    }
}

/// The rows that train and those that are held back.
struct Rows {
    /// `None`: all rows of the table.
    train: Option<Vec<bool>>,
    /// `None`: no row.
    test: Option<Vec<bool>>,
}

impl Rows {
    fn of(
        table: &Table,
        target: usize,
        features: &[usize],
        options: &TrainOptions,
        removed: &mut Vec<Removed>,
        cancelled: Cancelled<'_>,
    ) -> Result<Self, Error> {
        let mut used = features.to_vec();
        used.push(target);
        used.sort_unstable();
        let complete = complete_rows(table.columns(), &used, removed, cancelled)?;
        let count = complete
            .as_ref()
            .map_or(table.rows(), |marks| marks.iter().filter(|mark| **mark).count());
        let held = split::held_back(count, options.test_share);
        if held == 0 {
            return Ok(Self {
                train: complete,
                test: None,
            });
        }
        check(cancelled)?;
        let chosen = split::chosen(count, held, options.seed);
        check(cancelled)?;
        let complete = complete.unwrap_or_else(|| vec![true; table.rows()]);
        let mut chosen = chosen.into_iter();
        let test: Vec<bool> = complete
            .iter()
            .map(|&mark| mark && chosen.next().unwrap_or(false))
            .collect();
        let train = complete
            .iter()
            .zip(&test)
            .map(|(&complete, &test)| complete && !test)
            .collect();
        Ok(Self {
            train: Some(train),
            test: Some(test),
        })
    }
}

fn enough(design: &Design<'_>, target: &str) -> Result<(), Error> {
    let (found, needed) = (design.row_count(), design.features().len() + 1);
    if found < needed.max(2) {
        return Err(Error::TooFewRows {
            found,
            needed: needed.max(2),
        });
    }
    if near_constant(&design.target().moments) {
        return Err(Error::TargetConstant {
            target: target.to_owned(),
        });
    }
    Ok(())
}

/// The intercept and the coefficients of the design's features, in the units of the data.
fn fit(
    design: &Design<'_>,
    method: Method,
    on_epoch: &mut dyn FnMut(Epoch),
    removed: &mut Vec<Removed>,
    cancelled: Cancelled<'_>,
) -> Result<(Option<f64>, Vec<f64>, Losses), Error> {
    match method {
        Method::ClosedForm => {
            let solution = closed::solve(design, cancelled)?;
            for (feature, coefficient) in design.features().iter().zip(&solution.coefficients) {
                if coefficient.is_none() {
                    removed.push((feature.column, CleaningAction::ColumnCollinear, feature.present));
                }
            }
            let coefficients = solution.coefficients.into_iter().map(Option::unwrap_or_default);
            Ok((solution.intercept, coefficients.collect(), Losses::default()))
        }
        Method::GradientDescent(how) => {
            let end = descent::descend(design, &how, on_epoch, cancelled)?;
            let weights: Vec<Option<f64>> = end.weights.into_iter().map(Some).collect();
            let (intercept, coefficients) = design.in_units(end.bias, &weights);
            let coefficients = coefficients.into_iter().map(Option::unwrap_or_default);
            Ok((intercept, coefficients.collect(), end.losses))
        }
    }
}

/// The model over all features: those that the design left out have the coefficient 0.
fn model(
    columns: &[Column],
    features: &[usize],
    design: &Design<'_>,
    intercept: Option<f64>,
    coefficients: &[f64],
) -> Result<Linear, Error> {
    let intercept = intercept.ok_or(Error::OutOfRange {
        what: "the intercept".to_owned(),
    })?;
    let mut fitted = design.features().iter().zip(coefficients).peekable();
    let mut all = Vec::with_capacity(features.len());
    for &index in features {
        let name = columns[index].name().to_owned();
        // The design keeps the order of the features.
        let value = fitted
            .next_if(|(feature, _)| feature.column == index)
            .map_or(0.0, |(_, value)| *value);
        if !value.is_finite() {
            return Err(Error::OutOfRange {
                what: format!("the coefficient of {name:?}"),
            });
        }
        all.push((name, value));
    }
    Ok(Linear {
        intercept,
        coefficients: all,
    })
}

/// [`Metrics`] of the model over the marked rows.
fn judge(
    columns: &[Column],
    target: usize,
    features: &[usize],
    model: &Linear,
    marks: Option<&[bool]>,
    cancelled: Cancelled<'_>,
) -> Result<Metrics, Error> {
    let values = |index: usize| columns[index].numbers().unwrap_or_default();
    let features: Vec<&[f64]> = features.iter().map(|&index| values(index)).collect();
    let predictions = predict(model, &features, values(target).len(), cancelled)?;
    let marked = |row: usize| marks.is_none_or(|marks| marks[row]);
    let pairs = values(target).iter().zip(&predictions).enumerate();
    let pairs = pairs.filter(|(row, _)| marked(*row)).map(|(_, (&y, &p))| (y, p));
    Ok(Metrics::of(pairs.collect::<Vec<_>>().as_slice()))
}

/// The model's prediction for every row; not a number where a feature is missing. `features` are those of the model, in
/// its order.
///
/// # Errors
/// [`crate::Error::Cancelled`].
pub fn predict(
    model: &Linear,
    features: &[&[f64]],
    rows: usize,
    cancelled: Cancelled<'_>,
) -> Result<Vec<f64>, crate::Error> {
    let mut predictions = vec![0.0; rows];
    for (values, (_, coefficient)) in features.iter().zip(&model.coefficients) {
        let chunks = predictions.chunks_mut(CHUNK).zip(values.chunks(CHUNK));
        for (predictions, values) in chunks {
            check(cancelled)?;
            for (prediction, value) in predictions.iter_mut().zip(values) {
                *prediction += coefficient * value;
            }
        }
    }
    for prediction in &mut predictions {
        *prediction += model.intercept;
    }
    Ok(predictions)
}

#[cfg(test)]
mod tests;
