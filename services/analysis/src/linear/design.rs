//! The columns and rows that a model is made from, and the rows in standard units.

use crate::chunk::{CHUNK, Cancelled, Rows, check};
use crate::column::{Column, ColumnType};
use crate::describe::present_rows;
use crate::linear::CleaningAction;
use crate::moments::Moments;
use crate::sum::Sum;
use crate::{Error, Table};

/// Largest distance, relative to the larger magnitude, of values of a constant column: rounding of one value.
const CONSTANT_SPREAD: f64 = 4.0 * f64::EPSILON;

/// A column, the [`CleaningAction`] that left something of it out, and its extent.
pub(crate) type Removed = (usize, CleaningAction, usize);

/// Features and target over the complete rows.
#[derive(Debug)]
pub(crate) struct Design<'a> {
    features: Vec<Variable<'a>>,
    target: Variable<'a>,
    /// Marks of the complete rows; `None` when all are.
    marks: Option<Vec<bool>>,
    rows: usize,
}

/// A column of the design with its moments over the complete rows.
#[derive(Debug)]
pub(crate) struct Variable<'a> {
    /// Its index in the table.
    pub(crate) column: usize,
    /// Number of its values in the table.
    pub(crate) present: usize,
    pub(crate) moments: Moments,
    values: &'a [f64],
}

impl<'a> Design<'a> {
    /// Applies rules 1 to 3 of [`crate::linear`]. There is no design without a complete row.
    pub(crate) fn of(
        table: &'a Table,
        target: usize,
        cancelled: Cancelled<'_>,
    ) -> Result<(Option<Self>, Vec<Removed>), Error> {
        let columns = table.columns();
        let mut removed = Vec::new();
        let mut used = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            match unusable(column, cancelled)? {
                Some(action) if index != target => removed.push((index, action, column.count())),
                _ => used.push(index),
            }
        }
        let marks = complete_rows(columns, &used, &mut removed, cancelled)?;
        used.retain(|&index| index != target);
        let design = Self::over(columns, target, &used, marks, &mut removed, cancelled)?;
        Ok((design, removed))
    }

    /// Applies rule 3 to these features over the marked rows, in which nothing of them is missing.
    pub(crate) fn over(
        columns: &'a [Column],
        target: usize,
        features: &[usize],
        marks: Option<Vec<bool>>,
        removed: &mut Vec<Removed>,
        cancelled: Cancelled<'_>,
    ) -> Result<Option<Self>, Error> {
        let rows = marks.as_deref().map_or(Rows::All, Rows::Marked);
        let Some(of_target) = Variable::of(target, &columns[target], rows, cancelled)? else {
            return Ok(None);
        };
        let mut kept = Vec::with_capacity(features.len());
        for &index in features {
            let Some(variable) = Variable::of(index, &columns[index], rows, cancelled)? else {
                return Ok(None);
            };
            if near_constant(&variable.moments) {
                removed.push((index, CleaningAction::ColumnConstant, variable.present));
            } else {
                kept.push(variable);
            }
        }
        let rows = of_target.moments.count;
        Ok(Some(Self {
            features: kept,
            target: of_target,
            marks,
            rows,
        }))
    }

    /// The features, in column order.
    pub(crate) fn features(&self) -> &[Variable<'a>] {
        &self.features
    }

    pub(crate) fn target(&self) -> &Variable<'a> {
        &self.target
    }

    /// Marks of the rows that it is made of; `None` for all.
    pub(crate) fn marks(&self) -> &Option<Vec<bool>> {
        &self.marks
    }

    /// Number of complete rows.
    pub(crate) fn row_count(&self) -> usize {
        self.rows
    }

    /// Converts a model of the standardised columns to the units of the data: the intercept, where a double can hold it,
    /// and a coefficient for each weight.
    pub(crate) fn in_units(&self, bias: f64, weights: &[Option<f64>]) -> (Option<f64>, Vec<Option<f64>>) {
        let target = &self.target;
        let mut mean = Sum::default();
        mean.push(target.moments.mean);
        mean.push(target.moments.residual);
        mean.push(bias * target.unit());
        let mut coefficients = Vec::with_capacity(weights.len());
        for (feature, weight) in self.features.iter().zip(weights) {
            coefficients.push(weight.map(|weight| {
                let slope = weight * target.unit() / feature.unit();
                mean.push(-slope * feature.moments.mean);
                mean.push(-slope * feature.moments.residual);
                // Scales are powers of two, equal for all but the most extreme columns.
                slope * (feature.moments.scale / target.moments.scale)
            }));
        }
        let intercept = mean.total() / target.moments.scale;
        (intercept.is_finite().then_some(intercept), coefficients)
    }

    /// Visits the complete rows in blocks of at most `size`: `visit(block, n)` with `n` rows of standardised values,
    /// feature by feature and the target last, each starting at a multiple of `size`.
    pub(crate) fn each_block(
        &self,
        size: usize,
        cancelled: Cancelled<'_>,
        mut visit: impl FnMut(&mut [f64], usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut block = vec![0.0; (self.features.len() + 1) * size];
        let mut rows = Vec::with_capacity(size);
        let mut complete = (0..self.target.values.len()).filter(|&row| self.marks.as_ref().is_none_or(|m| m[row]));
        loop {
            check(cancelled)?;
            rows.clear();
            rows.extend(complete.by_ref().take(size));
            if rows.is_empty() {
                return Ok(());
            }
            let variables = self.features.iter().chain([&self.target]);
            for (variable, out) in variables.zip(block.chunks_exact_mut(size)) {
                variable.standardise(&rows, out);
            }
            visit(&mut block, rows.len())?;
        }
    }
}

impl<'a> Variable<'a> {
    fn of(index: usize, column: &'a Column, rows: Rows<'_>, cancelled: Cancelled<'_>) -> Result<Option<Self>, Error> {
        let values = column.numbers().unwrap_or_default();
        let moments = Moments::of(values, rows, cancelled)?;
        Ok(moments.map(|moments| Self {
            column: index,
            present: column.count(),
            moments,
            values,
        }))
    }

    /// The unit of the standardised values, in scaled units: the deviation's root mean square, or 1 without deviation.
    pub(crate) fn unit(&self) -> f64 {
        let unit = (self.moments.squares / self.moments.count as f64).sqrt();
        if unit > 0.0 { unit } else { 1.0 }
    }

    fn standardise(&self, rows: &[usize], out: &mut [f64]) {
        let unit = self.unit();
        for (out, &row) in out.iter_mut().zip(rows) {
            *out = self.moments.deviation(self.values[row]) / unit;
        }
    }
}

/// The reason that keeps a column from being a feature, whatever the rows.
fn unusable(column: &Column, cancelled: Cancelled<'_>) -> Result<Option<CleaningAction>, Error> {
    let Some(values) = column.numbers() else {
        let empty = column.kind() == ColumnType::Empty;
        return Ok(Some(if empty {
            CleaningAction::ColumnEmpty
        } else {
            CleaningAction::ColumnText
        }));
    };
    let constant = Moments::of(values, present_rows(column), cancelled)?.is_none_or(|moments| near_constant(&moments));
    Ok(constant.then_some(CleaningAction::ColumnConstant))
}

/// Returns true if the values are one, but for rounding.
pub(crate) fn near_constant(moments: &Moments) -> bool {
    moments.max - moments.min <= CONSTANT_SPREAD * moments.max.abs().max(moments.min.abs())
}

/// Marks the rows in which all used columns are present, and counts each other row under the first that is missing. No marks:
/// every row is complete.
pub(crate) fn complete_rows(
    columns: &[Column],
    used: &[usize],
    removed: &mut Vec<Removed>,
    cancelled: Cancelled<'_>,
) -> Result<Option<Vec<bool>>, Error> {
    let mut marks: Option<Vec<bool>> = None;
    for &index in used.iter().filter(|&&index| columns[index].missing() > 0) {
        let values = columns[index].numbers().unwrap_or_default();
        let marks = marks.get_or_insert_with(|| vec![true; values.len()]);
        let mut incomplete = 0;
        for (values, marks) in values.chunks(CHUNK).zip(marks.chunks_mut(CHUNK)) {
            check(cancelled)?;
            for (value, mark) in values.iter().zip(marks) {
                incomplete += usize::from(*mark && value.is_nan());
                *mark &= !value.is_nan();
            }
        }
        if incomplete > 0 {
            removed.push((index, CleaningAction::RowIncomplete, incomplete));
        }
    }
    Ok(marks)
}
