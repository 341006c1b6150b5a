//! Errors of training.

use crate::names::quoted;
use crate::{ColumnNames, ColumnType};

/// An error of [`train`](super::train).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The table or the target is wrong, or the caller cancelled.
    #[error(transparent)]
    Table(#[from] crate::Error),
    /// No column has a feature's name.
    #[error("there is no column {} to use as a feature; {present}", quoted(feature))]
    FeatureNotFound {
        /// The requested feature.
        feature: String,
        /// The columns there are.
        present: ColumnNames,
    },
    /// A feature's column holds text, mixed values or nothing.
    #[error("the feature {feature:?} is a column of type {kind}; it must hold numbers or booleans only")]
    FeatureNotNumeric {
        /// The requested feature.
        feature: String,
        /// The type of its column.
        kind: ColumnType,
    },
    /// The target is named as a feature.
    #[error("the target {feature:?} cannot be a feature too")]
    FeatureIsTarget {
        /// The target's name.
        feature: String,
    },
    /// A feature is named twice.
    #[error("the feature {feature:?} is named twice")]
    FeatureTwice {
        /// The feature's name.
        feature: String,
    },
    /// There is nothing to predict the target from.
    #[error("there is no feature: besides the target, at least one column must hold numbers or booleans only")]
    NoFeature,
    /// Too few complete rows for so many features.
    #[error(
        "{found} complete rows are left to train on, but at least {needed} are needed, one more than features that vary; \
         send more rows, name fewer features or hold fewer rows back"
    )]
    TooFewRows {
        /// Rows to train on.
        found: usize,
        /// Number of rows needed.
        needed: usize,
    },
    /// The target has one value only.
    #[error("the target {target:?} has the same value in every row that is trained on: there is nothing to learn")]
    TargetConstant {
        /// The target's name.
        target: String,
    },
    /// The cost grew.
    #[error(
        "with the learning rate {learning_rate} the training diverges: its cost grew in epoch {epoch}; \
         a rate of {advice} or less converges"
    )]
    Diverged {
        /// The learning rate.
        learning_rate: f64,
        /// The epoch in which the cost grew.
        epoch: u32,
        /// A rate that converges.
        advice: f64,
    },
    /// A double cannot hold a figure of the model.
    #[error("{what} is beyond what a double can hold; bring the columns to a common scale")]
    OutOfRange {
        /// The figure.
        what: String,
    },
}
