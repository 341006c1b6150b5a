//! Least squares by gradient descent over all rows, on standardised features.
//!
//! The cost is J = 1/(2m) sum (h(x) - y)^2, in the target's units. It starts from the model that is zero everywhere; every
//! epoch takes one step of the learning rate times the gradient. Features are standardised over the training rows (mean 0,
//! mean square 1), so that one learning rate suits all of them: a rate converges whenever it is below 2 over the greatest
//! eigenvalue of their correlations, so always below 2/k for k features. With such a rate the cost never grows; where it
//! does, the descent diverges and ends. It has converged when no component of the gradient is larger than the tolerance
//! times the target's standard deviation. Where features are collinear it leads to the solution of least norm.

use crate::chunk::{CHUNK, Cancelled, check};
use crate::linear::design::Design;
use crate::sum::{Sum, dot};
use crate::train::Error;

/// The most costs that are kept.
const LOSSES_MAX: usize = 1_000;
/// Growth of the cost that rounding explains: relative to the cost, and in squares of the target's standard deviation.
const ROUNDING: (f64, f64) = (1e-9, 1e-12);

/// Options of [`descend`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Descent {
    /// Factor of the gradient; the default is [`default_rate`].
    pub learning_rate: Option<f64>,
    /// The most steps.
    pub epochs: u32,
    /// The gradient, in standard units, at which it ends.
    pub tolerance: f64,
}

/// One step of a descent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// Its number, from 1.
    pub number: u32,
    /// The most epochs.
    pub limit: u32,
    /// The cost after it.
    pub loss: f64,
}

/// The costs along a descent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Losses {
    /// The cost after epoch 1 and after each `every` epochs from there, and after the last; at most 1,000.
    pub points: Vec<f64>,
    /// Epochs between two points; 0 without a descent.
    pub every: u32,
    /// Factor of the gradient.
    pub learning_rate: f64,
    /// Number of epochs.
    pub epochs: u32,
    /// True if the tolerance was reached.
    pub converged: bool,
}

/// The end of a descent, for the standardised columns.
#[derive(Debug)]
pub(crate) struct Descended {
    pub(crate) bias: f64,
    pub(crate) weights: Vec<f64>,
    pub(crate) losses: Losses,
}

/// The learning rate where none is given: 0.1, or less where many features could make that diverge.
pub fn default_rate(features: usize) -> f64 {
    (1.0 / features.max(1) as f64).min(0.1)
}

/// Descends; calls `on_epoch` after every [`Epoch`].
pub(crate) fn descend(
    design: &Design<'_>,
    descent: &Descent,
    on_epoch: &mut dyn FnMut(Epoch),
    cancelled: Cancelled<'_>,
) -> Result<Descended, Error> {
    let rows = Standard::of(design, cancelled)?;
    let width = design.features().len();
    let rate = descent.learning_rate.unwrap_or_else(|| default_rate(width));
    let square_unit = (design.target().unit() / design.target().moments.scale).powi(2);
    let mut at = Point::zero(design);
    let mut before = rows.cost(&mut at, cancelled)?;
    let mut history = History::default();
    let mut converged = false;
    for number in 1..=descent.epochs {
        at.step(rate);
        let cost = rows.cost(&mut at, cancelled)?;
        // Also when it is no number any more.
        if cost.is_nan() || cost > before + ROUNDING.0 * before + ROUNDING.1 {
            return Err(Error::Diverged {
                learning_rate: rate,
                epoch: number,
                advice: 1.0 / width.max(1) as f64,
            });
        }
        before = cost;
        let loss = cost * square_unit;
        history.push(number, loss);
        on_epoch(Epoch {
            number,
            limit: descent.epochs,
            loss,
        });
        if at.steepest() <= descent.tolerance {
            converged = true;
            break;
        }
    }
    Ok(Descended {
        bias: at.bias,
        weights: at.weights,
        losses: Losses {
            learning_rate: rate,
            converged,
            ..history.finish()
        },
    })
}

/// The standardised rows, block by block: the features' values, then the target's.
struct Standard {
    values: Vec<f64>,
    width: usize,
    rows: usize,
}

/// A model of the standardised columns, and the gradient there.
struct Point {
    bias: f64,
    weights: Vec<f64>,
    bias_slope: f64,
    slopes: Vec<f64>,
}

impl Point {
    /// The model that predicts zero, in the target's own units.
    fn zero(design: &Design<'_>) -> Self {
        let target = design.target();
        let width = design.features().len();
        Self {
            bias: -(target.moments.mean + target.moments.residual) / target.unit(),
            weights: vec![0.0; width],
            bias_slope: 0.0,
            slopes: vec![0.0; width],
        }
    }

    fn step(&mut self, rate: f64) {
        self.bias -= rate * self.bias_slope;
        for (weight, slope) in self.weights.iter_mut().zip(&self.slopes) {
            *weight -= rate * slope;
        }
    }

    /// The largest component of the gradient.
    fn steepest(&self) -> f64 {
        let slopes = self.slopes.iter().map(|slope| slope.abs());
        slopes.fold(self.bias_slope.abs(), f64::max)
    }
}

impl Standard {
    fn of(design: &Design<'_>, cancelled: Cancelled<'_>) -> Result<Self, crate::Error> {
        let width = design.features().len() + 1;
        let mut values = Vec::with_capacity(width * design.row_count());
        design.each_block(CHUNK, cancelled, |block, rows| {
            for column in block.chunks_exact(CHUNK) {
                values.extend_from_slice(&column[..rows]);
            }
            Ok(())
        })?;
        Ok(Self {
            values,
            width,
            rows: design.row_count(),
        })
    }

    /// The cost at a point; its gradient is left there.
    fn cost(&self, at: &mut Point, cancelled: Cancelled<'_>) -> Result<f64, crate::Error> {
        let mut errors = [0.0; CHUNK];
        let (mut squares, mut bias_slope) = (Sum::default(), Sum::default());
        at.slopes.fill(0.0);
        for block in self.values.chunks(CHUNK * self.width) {
            check(cancelled)?;
            let rows = block.len() / self.width;
            let errors = &mut errors[..rows];
            let (features, target) = block.split_at(rows * (self.width - 1));
            for (error, y) in errors.iter_mut().zip(target) {
                *error = at.bias - y;
            }
            for (column, &weight) in features.chunks_exact(rows).zip(&at.weights) {
                for (error, x) in errors.iter_mut().zip(column) {
                    *error += weight * x;
                }
            }
            squares.push(dot(errors, errors, |a, b| a * b));
            bias_slope.push(dot(errors, errors, |error, _| error));
            for (column, slope) in features.chunks_exact(rows).zip(&mut at.slopes) {
                *slope += dot(errors, column, |error, x| error * x);
            }
        }
        let m = self.rows as f64;
        at.bias_slope = bias_slope.total() / m;
        for slope in &mut at.slopes {
            *slope /= m;
        }
        Ok(squares.total() / (2.0 * m))
    }
}

/// Costs, evenly thinned as they come.
#[derive(Debug, Default)]
struct History {
    points: Vec<f64>,
    /// 0 before the first.
    every: u32,
    last: Option<(u32, f64)>,
}

impl History {
    fn push(&mut self, epoch: u32, loss: f64) {
        self.last = Some((epoch, loss));
        self.every = self.every.max(1);
        if self.points.len() == LOSSES_MAX && self.due(epoch) {
            self.thin();
        }
        if self.due(epoch) {
            self.points.push(loss);
        }
    }

    fn due(&self, epoch: u32) -> bool {
        (epoch - 1).is_multiple_of(self.every)
    }

    /// Drops every second point.
    fn thin(&mut self) {
        let mut index = 0;
        self.points.retain(|_| {
            index += 1;
            index % 2 == 1
        });
        self.every = self.every.saturating_mul(2);
    }

    fn finish(mut self) -> Losses {
        let Some((epochs, loss)) = self.last else {
            return Losses::default();
        };
        if self.points.len() == LOSSES_MAX && !self.due(epochs) {
            self.thin();
        }
        if !self.due(epochs) {
            self.points.push(loss);
        }
        Losses {
            points: self.points,
            every: self.every,
            epochs,
            ..Losses::default()
        }
    }
}

#[cfg(test)]
mod tests;
