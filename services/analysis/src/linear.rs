//! Linear models of a target column.
//!
//! [`design`] decides which columns and rows are used, and lists what was left out; [`closed`] solves the least-squares
//! problem, [`descent`] walks towards its solution. The rules of a fit, so that another program can reach the same answer:
//!
//! 1. Features are all other columns of numbers or booleans. Text columns, empty ones and constant ones are left out.
//! 2. A row counts when the target and all remaining features are present. An incomplete row is counted once, under
//!    the first column in the table's order that is missing in it.
//! 3. A feature that is constant over those rows is left out.
//! 4. Going through the features in column order, one is left out as collinear when less than 1e-7 of its length (as a
//!    vector of deviations from its mean) remains after projecting it on the features kept before it. So it is the later
//!    of a collinear set that goes. Beyond that point a double could not give nine digits of the coefficients.
//!
//! "Constant" means that greatest and least value differ by no more than 4 units of 2^-52 of the larger magnitude.

pub(crate) mod closed;
pub(crate) mod design;

use crate::chunk::Cancelled;
use crate::{Column, Error, Table};

use design::{Design, Removed};

/// A least-squares fit of the target on the features that were kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The target's name.
    pub target: String,
    /// The value at zero features; absent without complete rows, or where a double cannot hold it.
    pub intercept: Option<f64>,
    /// A coefficient for each feature kept, in column order, where a double can hold it.
    pub coefficients: Vec<(String, f64)>,
    /// The share of the target's variance that is explained; absent where the target does not vary.
    pub r2: Option<f64>,
    /// Complete rows, which the fit is made from.
    pub row_count: usize,
}

/// Something that a fit left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaned {
    /// The column that is the reason.
    pub column: String,
    /// The kind of cleaning.
    pub action: CleaningAction,
    /// Rows left out ([`CleaningAction::RowIncomplete`]), or values of the column that were not used.
    pub count: usize,
}

/// The reason for a [`Cleaned`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CleaningAction {
    /// Rows in which the column is missing.
    RowIncomplete,
    /// A column without a value.
    ColumnEmpty,
    /// A column of text or of mixed values.
    ColumnText,
    /// A column with one value only.
    ColumnConstant,
    /// A column that the columns before it determine.
    ColumnCollinear,
}

/// The index of the target column.
pub(crate) fn target(table: &Table, name: &str) -> Result<usize, Error> {
    let found = table.columns().iter().position(|column| column.name() == name);
    let index = found.ok_or_else(|| Error::TargetNotFound {
        target: name.to_owned(),
        present: table.names(),
    })?;
    match table.columns()[index].kind() {
        kind if kind.is_numeric() => Ok(index),
        kind => Err(Error::TargetNotNumeric {
            target: name.to_owned(),
            kind,
        }),
    }
}

/// Fits the target column by least squares.
pub(crate) fn fit(table: &Table, target: usize, cancelled: Cancelled<'_>) -> Result<(Fit, Vec<Cleaned>), Error> {
    let name = |index: usize| table.columns()[index].name().to_owned();
    let (design, mut removed) = Design::of(table, target, cancelled)?;
    let solution = design
        .as_ref()
        .map(|design| closed::solve(design, cancelled))
        .transpose()?;
    let mut fit = Fit {
        target: name(target),
        intercept: None,
        coefficients: Vec::new(),
        r2: None,
        row_count: 0,
    };
    if let (Some(design), Some(solution)) = (design, solution) {
        fit.row_count = design.row_count();
        fit.intercept = solution.intercept;
        fit.r2 = solution.r2;
        for (feature, coefficient) in design.features().iter().zip(solution.coefficients) {
            match coefficient {
                Some(value) if value.is_finite() => fit.coefficients.push((name(feature.column), value)),
                Some(_) => {}
                None => removed.push((feature.column, CleaningAction::ColumnCollinear, feature.present)),
            }
        }
    }
    removed.sort_unstable();
    Ok((fit, cleaned(table.columns(), removed)))
}

/// [`Removed`] columns and rows by the columns' names.
pub(crate) fn cleaned(columns: &[Column], removed: Vec<Removed>) -> Vec<Cleaned> {
    let named = removed.into_iter().map(|(index, action, count)| Cleaned {
        column: columns[index].name().to_owned(),
        action,
        count,
    });
    named.collect()
}

#[cfg(test)]
mod tests;
