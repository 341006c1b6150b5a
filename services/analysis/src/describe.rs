//! The description of one column: counts, and the figures that its type allows.
//!
//! Statistics are of the values as given; nothing is imputed.

use crate::Error;
use crate::chunk::{Cancelled, Rows, check, each};
use crate::column::{Column, ColumnType, TextCells};
use crate::interval::{Interval, ci95};
use crate::moments::Moments;
use crate::outlier;
use crate::quantile::{Quantiles, quantiles};

/// Most texts that are listed.
const TOP: usize = 10;

/// The description of a [`Column`].
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnReport {
    /// The column's name.
    pub name: String,
    /// The type of its cells.
    pub kind: ColumnType,
    /// Cells present.
    pub count: usize,
    /// Cells missing.
    pub missing: usize,
    /// ColumnFigures by type.
    pub figures: ColumnFigures,
}

/// The figures that a column's type allows.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnFigures {
    /// Of a column of numbers, or of booleans as 0 and 1.
    Number(NumberFigures),
    /// Of a column of text.
    Text(TextFigures),
    /// Of a column whose every cell is missing.
    Empty,
}

/// Statistics of a numeric column.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberFigures {
    /// The arithmetic mean.
    pub mean: f64,
    /// The sample standard deviation (n - 1); absent below two values.
    pub stddev: Option<f64>,
    /// The 95 % confidence interval of the mean; absent below two values.
    pub ci95: Option<Interval>,
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// Quantiles by numpy's linear method.
    pub quantiles: Quantiles,
    /// Values more than 1.5 interquartile ranges outside the quartiles.
    pub outliers: usize,
}

/// Statistics of a text column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFigures {
    /// Number of distinct texts.
    pub distinct: usize,
    /// The ten most frequent, most frequent first, then in order of first appearance.
    pub top: Vec<ValueCount>,
}

/// A text and its number of occurrences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueCount {
    /// The text.
    pub value: String,
    /// Number of cells that hold it.
    pub count: usize,
}

/// Describes a column. The [`Moments`] of a numeric one are returned as well, since correlations and the fit start from them;
/// `scratch` is room for one column, kept from call to call.
pub(crate) fn describe(
    column: &Column,
    scratch: &mut Vec<f64>,
    cancelled: Cancelled<'_>,
) -> Result<(ColumnReport, Option<Moments>), Error> {
    check(cancelled)?;
    let mut moments = None;
    let figures = if let Some(values) = column.numbers() {
        let rows = present_rows(column);
        moments = Moments::of(values, rows, cancelled)?;
        match &moments {
            Some(moments) => ColumnFigures::Number(number_figures(values, rows, moments, scratch, cancelled)?),
            None => ColumnFigures::Empty,
        }
    } else {
        column
            .text_cells()
            .map_or(ColumnFigures::Empty, |text| ColumnFigures::Text(text_figures(text)))
    };
    let report = ColumnReport {
        name: column.name().to_owned(),
        kind: column.kind(),
        count: column.count(),
        missing: column.missing(),
        figures,
    };
    Ok((report, moments))
}

/// The [`Rows`] that hold the present values of a numeric column.
pub(crate) fn present_rows(column: &Column) -> Rows<'static> {
    if column.missing() == 0 {
        Rows::All
    } else {
        Rows::Present
    }
}

fn number_figures(
    values: &[f64],
    rows: Rows<'_>,
    moments: &Moments,
    scratch: &mut Vec<f64>,
    cancelled: Cancelled<'_>,
) -> Result<NumberFigures, Error> {
    scratch.clear();
    scratch.reserve_exact(moments.count);
    each([values], rows, cancelled, |[chunk]| scratch.extend_from_slice(chunk))?;
    let quantiles = quantiles(scratch, cancelled)?;
    Ok(NumberFigures {
        mean: moments.mean(),
        stddev: moments.stddev(),
        ci95: ci95(moments),
        min: moments.min,
        max: moments.max,
        quantiles,
        outliers: outlier::count(scratch, &quantiles, cancelled)?,
    })
}

fn text_figures(text: &TextCells) -> TextFigures {
    // A text that a repeated key replaced is still in the dictionary, with no cell.
    let mut counts: Vec<(usize, usize)> = text
        .counts()
        .into_iter()
        .enumerate()
        .filter(|&(_, count)| count > 0)
        .collect();
    let distinct = counts.len();
    let most_first = |&(code, count): &(usize, usize)| (std::cmp::Reverse(count), code);
    if distinct > TOP {
        counts.select_nth_unstable_by_key(TOP, most_first);
        counts.truncate(TOP);
    }
    counts.sort_unstable_by_key(most_first);
    let value = |code: usize| text.dictionary.get(code as u32).unwrap_or_default().to_owned();
    TextFigures {
        distinct,
        top: counts
            .iter()
            .map(|&(code, count)| ValueCount {
                value: value(code),
                count,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests;
