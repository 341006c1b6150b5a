//! Failures of matching a table's columns with a model's inputs.

/// Rows that a model does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PredictError {
    /// Columns that do not fit the model's inputs.
    #[error(
        "the model does not take these rows: {problem}; it takes {takes} (one input with a number for each column in \
         its last axis, or inputs with the names of columns, work)"
    )]
    Mismatch {
        /// The column at fault, if it is one.
        column: Option<String>,
        problem: String,
        takes: String,
    },
    /// A model without an output of one number a row.
    #[error("predictions are one number a row, and the model gives {gives}")]
    NotNumbers { gives: String },
}

impl PredictError {
    /// The column at fault, if it is one.
    pub(crate) fn column(self) -> Option<String> {
        match self {
            Self::Mismatch { column, .. } => column,
            Self::NotNumbers { .. } => None,
        }
    }
}
