//! What is wrong with a table or a question, as the caller is told.
//!
//! Promises: every error of the numerics has one reason; rows count from 0, as in `data[0]`. Leaves status codes to the
//! table of reasons.

use lepton_analysis::Error;
use lepton_domain::reason::{Fault, Reason};
use lepton_proto::convert::analysis::invalid_row;

/// The fault of an error.
pub fn fault(error: Error) -> Fault {
    let message = error.to_string();
    match error {
        Error::NoRows => Fault::new(Reason::NoRows, message),
        Error::NotFinite { column, row } => invalid_row(
            row,
            Some(&column),
            "a number that is not finite: send null for a missing value",
        ),
        Error::TooManyColumns { .. } | Error::TooSparse { .. } => Fault::new(Reason::InvalidRow, message),
        Error::ColumnLength { .. } | Error::DuplicateColumn { .. } => Fault::field("table.columns", message),
        Error::TargetNotFound { target } => Fault::new(Reason::TargetNotFound, message).with("target", target),
        Error::TargetNotNumeric { target, kind } => Fault::new(Reason::TargetNotNumeric, message)
            .with("target", target)
            .with("type", kind.to_string()),
        Error::Cancelled => Fault::new(Reason::Cancelled, message),
    }
}
