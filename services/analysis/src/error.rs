//! Errors of tables and of their analysis.
//!
//! Each variant is one answer to the caller; the services give it a status code and a reason.

use crate::names::quoted;
use crate::{ColumnNames, ColumnType};

/// An error of a [`Table`](crate::Table) or of its analysis.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is nothing to analyse.
    #[error("the table has no rows: send at least one")]
    NoRows,
    /// A cell held NaN or an infinity. Rows count from 0.
    #[error("column {column:?}, row {row}: the number is not finite; leave the cell out to mark it as missing")]
    NotFinite {
        /// The column's name.
        column: String,
        /// The row, from 0.
        row: usize,
    },
    /// The rows name more columns than a table may have.
    #[error("the table has more than {limit} columns")]
    TooManyColumns {
        /// Most columns of a table.
        limit: usize,
    },
    /// Nearly every cell is missing, so that the table would take memory out of all proportion to what was sent.
    #[error("{rows} rows and {columns} columns hold too few values: too sparse; send the columns that the rows share")]
    TooSparse {
        /// Rows so far.
        rows: usize,
        /// Columns so far.
        columns: usize,
    },
    /// Packed columns, or values and their validity list, differ in length.
    #[error("column {column:?} has {found} entries where {expected} were expected")]
    ColumnLength {
        /// The column's name.
        column: String,
        /// The length that the first column or the values have.
        expected: usize,
        /// The length found.
        found: usize,
    },
    /// Two packed columns have one name.
    #[error("column {column:?} appears twice")]
    DuplicateColumn {
        /// The name that appears twice.
        column: String,
    },
    /// No column has the target's name.
    #[error("there is no column {} to use as the target; {present}", quoted(target))]
    TargetNotFound {
        /// The requested target.
        target: String,
        /// The columns there are.
        present: ColumnNames,
    },
    /// The target's column holds text, mixed values or nothing.
    #[error("the target {target:?} is a column of type {kind}; it must hold numbers or booleans only")]
    TargetNotNumeric {
        /// The requested target.
        target: String,
        /// The type of its column.
        kind: ColumnType,
    },
    /// The caller cancelled the analysis.
    #[error("the analysis was cancelled")]
    Cancelled,
}
