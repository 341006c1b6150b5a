//! Columns in chunks: the one place where missing cells are left out and cancellation is noticed.
//!
//! Kernels see plain slices of present values, short enough to stay in the first-level cache; a stop is noticed within
//! microseconds. Where nothing is missing the slices are the column itself.

use crate::Error;

/// Values in a chunk.
pub(crate) const CHUNK: usize = 1_024;

/// Returns true once the caller wants to stop.
pub(crate) type Cancelled<'a> = &'a dyn Fn() -> bool;

/// The rows that are taken from the columns.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rows<'a> {
    /// All: no cell is missing.
    All,
    /// Those in which all the columns at hand are present.
    Present,
    /// Those that are marked; nothing is missing in them.
    Marked(&'a [bool]),
}

/// Fails with [`Error::Cancelled`] once the caller wants to stop.
pub(crate) fn check(cancelled: Cancelled<'_>) -> Result<(), Error> {
    if cancelled() { Err(Error::Cancelled) } else { Ok(()) }
}

/// Calls `visit` with the chosen rows of `K` columns, a chunk at a time.
pub(crate) fn each<const K: usize>(
    columns: [&[f64]; K],
    rows: Rows<'_>,
    cancelled: Cancelled<'_>,
    mut visit: impl FnMut([&[f64]; K]),
) -> Result<(), Error> {
    let length = columns.iter().map(|column| column.len()).min().unwrap_or(0);
    let mut buffers = [[0.0; CHUNK]; K];
    for start in (0..length).step_by(CHUNK) {
        check(cancelled)?;
        let range = start..length.min(start + CHUNK);
        let slices = columns.map(|column| &column[range.clone()]);
        let kept = match rows {
            Rows::All => {
                visit(slices);
                continue;
            }
            Rows::Present => gather(slices, &mut buffers, |row| {
                slices.iter().all(|slice| !slice[row].is_nan())
            }),
            Rows::Marked(marks) => {
                let marks = &marks[range];
                gather(slices, &mut buffers, |row| marks[row])
            }
        };
        visit(std::array::from_fn(|k| &buffers[k][..kept]));
    }
    Ok(())
}

/// Moves the kept rows to the front of the buffers. Writing first and counting after needs no branch.
fn gather<const K: usize>(slices: [&[f64]; K], buffers: &mut [[f64; CHUNK]; K], keep: impl Fn(usize) -> bool) -> usize {
    let mut kept = 0;
    for row in 0..slices.first().map_or(0, |slice| slice.len()) {
        for (buffer, slice) in buffers.iter_mut().zip(slices) {
            buffer[kept] = slice[row];
        }
        kept += usize::from(keep(row));
    }
    kept
}
