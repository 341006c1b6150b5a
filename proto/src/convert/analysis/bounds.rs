//! Limits on the width and sparseness of a table.
//!
//! Promises: a table's memory stays in proportion to its message. Leaves the size of the message to its receiver.

use lepton_domain::reason::{ApiError, Reason};

/// Most columns of a table. Every column comes back with a dozen figures.
pub const COLUMNS_MAX: usize = 65_536;
/// Tables up to this many cells may be as sparse as they like (32 MiB of doubles).
const CELLS_FREE: usize = 4 << 20;
/// Larger tables may hold this many cells for each that was sent.
const CELLS_PER_SENT: usize = 4;

/// Checks a table of so many rows and columns for which so many cells were sent. A hostile body could name a new column
/// in every row, or claim rows that it does not send: cells grow with the square of its size.
pub fn check(rows: usize, columns: usize, cells_sent: usize) -> Result<(), ApiError> {
    if columns > COLUMNS_MAX {
        let message = format!("more than {COLUMNS_MAX} columns; send the table in parts");
        return Err(ApiError::new(Reason::InvalidRow, message));
    }
    if rows.saturating_mul(columns) <= CELLS_FREE + CELLS_PER_SENT.saturating_mul(cells_sent) {
        return Ok(());
    }
    let message = format!("{rows} rows of {columns} columns hold too few values; send the columns that rows share");
    Err(ApiError::new(Reason::InvalidRow, message))
}
