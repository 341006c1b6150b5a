//! The whole analysis of a table: every column described, correlations, and a fit where a target is named.

use crate::chunk::Cancelled;
use crate::correlate::{Correlation, Variable, correlations};
use crate::describe::{ColumnReport, describe, present_rows};
use crate::linear::{self, Cleaned, Fit};
use crate::{Error, Table};

/// Options of [`analyze`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options<'a> {
    /// The column to explain by the others.
    pub target: Option<&'a str>,
}

/// The result of [`analyze`].
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Rows analysed.
    pub row_count: usize,
    /// The columns in order of first appearance.
    pub columns: Vec<ColumnReport>,
    /// Pairs of the first 100 numeric columns, in column order.
    pub correlations: Vec<Correlation>,
    /// The least-squares [`Fit`] of the target, if one was named.
    pub fit: Option<Fit>,
    /// Columns and rows that the [`Fit`] left out, in column order; empty without a target.
    pub cleaned: Vec<Cleaned>,
}

/// Analyses a [`Table`]. `cancelled` is called every few thousand rows at least. Beside the table, room for one column is used,
/// and for a second one where cells are missing.
///
/// # Errors
/// [`Error::NoRows`], [`Error::TargetNotFound`], [`Error::TargetNotNumeric`], [`Error::Cancelled`].
pub fn analyze(table: &Table, options: &Options<'_>, cancelled: Cancelled<'_>) -> Result<Report, Error> {
    if table.rows() == 0 {
        return Err(Error::NoRows);
    }
    // A bad target is refused before any work is done.
    let target = options.target.map(|name| linear::target(table, name)).transpose()?;
    let mut scratch = Vec::new();
    let mut columns = Vec::with_capacity(table.columns().len());
    let mut moments = Vec::with_capacity(table.columns().len());
    for column in table.columns() {
        let (report, of_column) = describe(column, &mut scratch, cancelled)?;
        columns.push(report);
        moments.push(of_column);
    }
    drop(scratch);
    let variables: Vec<Variable<'_>> = table
        .columns()
        .iter()
        .zip(&moments)
        .filter_map(|(column, moments)| {
            let (values, moments) = (column.numbers()?, (*moments)?);
            Some(Variable {
                name: column.name(),
                values,
                rows: present_rows(column),
                moments,
            })
        })
        .collect();
    let correlations = correlations(&variables, cancelled)?;
    let (fit, cleaned) = match target {
        Some(target) => {
            let (fit, cleaned) = linear::fit(table, target, cancelled)?;
            (Some(fit), cleaned)
        }
        None => (None, Vec::new()),
    };
    Ok(Report {
        row_count: table.rows(),
        columns,
        correlations,
        fit,
        cleaned,
    })
}

#[cfg(test)]
mod tests;
