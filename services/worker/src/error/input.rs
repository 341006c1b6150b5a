//! Failures of reading rows and options, from JSON, CSV and packed columns.
//!
//! Promises: an error names the field, or the row from 0 as in `data[0]` and the column. Leaves reading to the modules
//! that meet the text.

use lepton_proto::convert::value::JsonError;

/// An input that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InputError {
    /// No JSON, or JSON of another form.
    #[error("{0}")]
    NotJson(String),
    /// A field that breaks a rule.
    #[error("{field}: {problem}")]
    Field { field: &'static str, problem: String },
    /// A field that the input does not have.
    #[error("there is no field {name:?}")]
    UnknownField { name: String },
    /// No rows.
    #[error("{0}")]
    NoRows(&'static str),
    /// A row that is not flat, or a value in it that is not usable.
    #[error("row {row} is {problem}")]
    Row {
        row: usize,
        /// The column; absent when the row itself is at fault.
        column: Option<String>,
        /// The rule that it breaks.
        problem: String,
    },
    /// Text inside a row that is not JSON.
    #[error("row {row}: {source}")]
    RowJson {
        row: usize,
        /// The failure with its place in the text.
        source: JsonError,
    },
    /// A number that no double holds.
    #[error("row {row}, column {column:?}: the number {shown} is beyond {limit}")]
    NotExact {
        row: usize,
        column: String,
        shown_column: String,
        shown: String,
        /// The largest number that is taken.
        limit: &'static str,
    },
    /// A consistency that is not built.
    #[error("CONSISTENCY_QUORUM is not supported yet; leave it out or send CONSISTENCY_ONE")]
    Consistency,
}

impl InputError {
    /// An [`InputError::Field`].
    pub(crate) fn field(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Field {
            field,
            problem: problem.into(),
        }
    }
}
