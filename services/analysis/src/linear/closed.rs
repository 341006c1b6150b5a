//! Least squares in closed form: a QR decomposition by Householder reflections, on standardised columns.
//!
//! Rows are folded block by block into the triangle of those before them, so that memory is one small block and a square
//! of the column count, whatever the number of rows. The triangle keeps every length and angle of the columns; a second
//! pass over it, in column order, leaves out what depends on earlier columns and solves for the rest.

use std::ops::Range;

use crate::Error;
use crate::chunk::{Cancelled, check};
use crate::linear::design::Design;
use crate::sum::{Sum, dot};

/// A column of which a smaller share remains after projection on those before it is collinear.
const COLLINEAR_SHARE: f64 = 1e-7;
/// A block holds about this many doubles, to stay in the second-level cache.
const BLOCK_VALUES: usize = 32_768;
/// The rest of a block's column once others have used up its rows is noise, which would shrink until it underflows.
const NEGLIGIBLE_SQUARES: f64 = 1e-60;

/// The solution in the units of the data.
#[derive(Debug)]
pub(crate) struct Solution {
    pub(crate) intercept: Option<f64>,
    /// For each feature of the design its coefficient, or `None` where it is collinear with those before it.
    pub(crate) coefficients: Vec<Option<f64>>,
    pub(crate) r2: Option<f64>,
}

/// Fits the target of a [`Design`].
pub(crate) fn solve(design: &Design<'_>, cancelled: Cancelled<'_>) -> Result<Solution, Error> {
    let width = design.features().len() + 1;
    let mut matrix = if design.row_count() > width {
        fold_rows(design, width, cancelled)?
    } else {
        all_rows(design, width, cancelled)?
    };
    let kept = matrix.reduce(cancelled)?;
    let weights = matrix.weights(&kept);
    let (intercept, coefficients) = design.in_units(0.0, &weights);
    Ok(Solution {
        intercept,
        coefficients,
        r2: matrix.share_explained(kept.len()),
    })
}

/// A dense matrix, row by row; the last column is the target.
struct Matrix {
    values: Vec<f64>,
    width: usize,
    /// Returns true if everything below the diagonal is zero.
    triangular: bool,
}

/// The standardised rows as they are, for tables with fewer rows than columns.
fn all_rows(design: &Design<'_>, width: usize, cancelled: Cancelled<'_>) -> Result<Matrix, Error> {
    let size = design.row_count();
    let mut values = vec![0.0; size * width];
    design.each_block(size, cancelled, |block, rows| {
        for (column, cells) in block.chunks_exact(size).enumerate() {
            for (row, &cell) in cells[..rows].iter().enumerate() {
                values[row * width + column] = cell;
            }
        }
        Ok(())
    })?;
    Ok(Matrix {
        values,
        width,
        triangular: false,
    })
}

/// The triangle of the standardised rows.
fn fold_rows(design: &Design<'_>, width: usize, cancelled: Cancelled<'_>) -> Result<Matrix, Error> {
    let size = (BLOCK_VALUES / width).clamp(32, 1_024);
    let mut triangle = vec![0.0; width * width];
    design.each_block(size, cancelled, |block, rows| {
        for column in 0..width {
            check(cancelled)?;
            fold_column(
                &mut triangle[column * width + column..][..width - column],
                block,
                size,
                rows,
                column,
            );
        }
        Ok(())
    })?;
    Ok(Matrix {
        values: triangle,
        width,
        triangular: true,
    })
}

/// Reflects one column of a block into the triangle. `row` is the triangle's row from its diagonal on: below the
/// diagonal it is zero, so that the reflection touches this row and the block only.
fn fold_column(row: &mut [f64], block: &mut [f64], size: usize, rows: usize, column: usize) {
    let (done, rest) = block.split_at_mut((column + 1) * size);
    let reflector = &done[column * size..][..rows];
    let squares = dot(reflector, reflector, |x, y| x * y);
    if squares < NEGLIGIBLE_SQUARES {
        return;
    }
    let [diagonal, others @ ..] = row else { return };
    let length = (*diagonal * *diagonal + squares).sqrt();
    // The sign that adds magnitudes: no cancellation.
    let head = *diagonal + length.copysign(*diagonal);
    *diagonal -= head;
    let factor = 2.0 / (head * head + squares);
    for (above, cells) in others.iter_mut().zip(rest.chunks_exact_mut(size)) {
        let cells = &mut cells[..rows];
        let share = factor * (head * *above + dot(reflector, cells, |x, y| x * y));
        *above -= share * head;
        for (cell, &v) in cells.iter_mut().zip(reflector) {
            *cell -= share * v;
        }
    }
}

impl Matrix {
    fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.width + column]
    }

    /// Brings the feature columns to echelon form in column order; gives those kept, one for each leading row.
    fn reduce(&mut self, cancelled: Cancelled<'_>) -> Result<Vec<usize>, Error> {
        let mut kept = Vec::new();
        for column in 0..self.width - 1 {
            check(cancelled)?;
            let bottom = if self.triangular {
                self.rows().min(column + 1)
            } else {
                self.rows()
            };
            let top = kept.len();
            let whole = self.length(column, 0..bottom);
            let left = self.length(column, top..bottom.max(top));
            if left <= COLLINEAR_SHARE * whole {
                continue;
            }
            self.reflect(column, top..bottom, left);
            kept.push(column);
        }
        Ok(kept)
    }

    fn length(&self, column: usize, rows: Range<usize>) -> f64 {
        rows.map(|row| self.at(row, column).powi(2)).sum::<f64>().sqrt()
    }

    /// Turns the part of a column in `rows`, of the given length, into its first row, and all later columns with it.
    fn reflect(&mut self, column: usize, rows: Range<usize>, length: f64) {
        if rows.len() == 1 {
            return;
        }
        let mut reflector: Vec<f64> = rows.clone().map(|row| self.at(row, column)).collect();
        reflector[0] += length.copysign(reflector[0]);
        let factor = 2.0 / dot(&reflector, &reflector, |x, y| x * y);
        let mut shares = vec![0.0; self.width - column];
        // Row after row, since rows are what lies together in memory.
        for (row, &v) in rows.clone().zip(&reflector) {
            for (share, cell) in shares.iter_mut().zip(self.tail(row, column)) {
                *share += v * *cell;
            }
        }
        for (row, &v) in rows.zip(&reflector) {
            for (cell, &share) in self.tail(row, column).iter_mut().zip(&shares) {
                *cell -= factor * v * share;
            }
        }
    }

    fn tail(&mut self, row: usize, column: usize) -> &mut [f64] {
        &mut self.values[row * self.width + column..(row + 1) * self.width]
    }

    /// Solves the kept columns' triangle for the target: a weight for each feature, `None` for those not kept.
    fn weights(&self, kept: &[usize]) -> Vec<Option<f64>> {
        let target = self.width - 1;
        let mut weights = vec![None; target];
        for (row, &column) in kept.iter().enumerate().rev() {
            let mut rest = Sum::default();
            rest.push(self.at(row, target));
            for &later in &kept[row + 1..] {
                rest.push(-weights[later].unwrap_or(0.0) * self.at(row, later));
            }
            weights[column] = Some(rest.total() / self.at(row, column));
        }
        weights
    }

    /// The share of the target's squares that lies in the first `rank` rows; `None` for a target without variance.
    fn share_explained(&self, rank: usize) -> Option<f64> {
        let target = self.width - 1;
        let whole = self.length(target, 0..self.rows());
        let left = self.length(target, rank.min(self.rows())..self.rows());
        (whole > 0.0).then(|| 1.0 - (left / whole).powi(2))
    }
}
