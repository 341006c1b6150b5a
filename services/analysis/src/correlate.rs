//! Pearson's correlation of every pair of numeric columns, over the rows in which both are present.
//!
//! Complete columns reuse their moments, so a pair costs one pass. Where cells are missing each pair has rows of its
//! own, and so its own range, means and deviations: figures derived from whole columns would lose their digits when a
//! row that the pair leaves out holds an extreme value.

use crate::Error;
use crate::chunk::{Cancelled, Rows, each};
use crate::moments::Moments;
use crate::sum::{Sum, dot};

/// Number of numeric columns that are correlated: the first ones.
pub(crate) const COLUMNS_MAX: usize = 100;

/// The correlation of two columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Correlation {
    /// The column that comes first in the table.
    pub a: String,
    /// The other column.
    pub b: String,
    /// Pearson's coefficient, from -1 to 1; absent below two rows or where a column does not vary over them.
    pub r: Option<f64>,
    /// Rows in which both are present.
    pub count: usize,
}

/// A numeric column ready for correlation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variable<'a> {
    pub(crate) name: &'a str,
    pub(crate) values: &'a [f64],
    pub(crate) rows: Rows<'a>,
    pub(crate) moments: Moments,
}

/// Correlates every pair, `a` before `b` in the order given. Two columns of room are needed where cells are missing.
pub(crate) fn correlations(variables: &[Variable<'_>], cancelled: Cancelled<'_>) -> Result<Vec<Correlation>, Error> {
    let variables = &variables[..variables.len().min(COLUMNS_MAX)];
    let mut found = Vec::with_capacity(variables.len() * variables.len().saturating_sub(1) / 2);
    let mut scratch = [Vec::new(), Vec::new()];
    for (index, a) in variables.iter().enumerate() {
        for b in &variables[index + 1..] {
            let (r, count) = pearson(a, b, &mut scratch, cancelled)?;
            found.push(Correlation {
                a: a.name.to_owned(),
                b: b.name.to_owned(),
                r,
                count,
            });
        }
    }
    Ok(found)
}

fn pearson(
    a: &Variable<'_>,
    b: &Variable<'_>,
    [xs, ys]: &mut [Vec<f64>; 2],
    cancelled: Cancelled<'_>,
) -> Result<(Option<f64>, usize), Error> {
    let columns = [a.values, b.values];
    if let (Rows::All, Rows::All) = (a.rows, b.rows) {
        return Ok((
            coefficient(columns, &a.moments, &b.moments, cancelled)?,
            a.moments.count,
        ));
    }
    xs.clear();
    ys.clear();
    each(columns, Rows::Present, cancelled, |[x, y]| {
        xs.extend_from_slice(x);
        ys.extend_from_slice(y);
    })?;
    let (Some(x), Some(y)) = (
        Moments::of(xs, Rows::All, cancelled)?,
        Moments::of(ys, Rows::All, cancelled)?,
    ) else {
        return Ok((None, 0));
    };
    Ok((coefficient([xs, ys], &x, &y, cancelled)?, x.count))
}

/// The coefficient of two complete columns.
fn coefficient(columns: [&[f64]; 2], x: &Moments, y: &Moments, cancelled: Cancelled<'_>) -> Result<Option<f64>, Error> {
    if x.constant() || y.constant() {
        return Ok(None);
    }
    let mut products = Sum::default();
    each(columns, Rows::All, cancelled, |[xs, ys]| {
        products.push(dot(xs, ys, |a, b| (a * x.scale - x.mean) * (b * y.scale - y.mean)));
    })?;
    // The residuals are what the rounded means left over; see `Moments`.
    let products = products.total() - x.count as f64 * x.residual * y.residual;
    let r = products / (x.squares.sqrt() * y.squares.sqrt());
    Ok(r.is_finite().then(|| r.clamp(-1.0, 1.0)))
}

#[cfg(test)]
mod tests;
