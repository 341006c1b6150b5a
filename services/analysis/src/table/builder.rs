//! A table built row by row, in one pass, with memory in proportion to its input.
//!
//! Rows usually repeat the same keys in the same order, so the column after the last one is tried before the names are
//! searched. A column that appears late, or a key that a row leaves out, costs nothing until the next value.

use super::Table;
use crate::Error;
use crate::column::{Cell, Column, Dictionary};

/// Most columns of a table. Every column comes back with a dozen figures.
const COLUMNS_MAX: usize = 65_536;
/// Tables up to this many cells may be as sparse as they like (32 MiB of doubles).
const CELLS_FREE: u64 = 4 << 20;
/// Larger tables may hold this many cells for each that was set.
const CELLS_PER_SET: u64 = 4;

/// Collects rows into a [`Table`]: for each row [`set`](Self::set) its cells, then [`end_row`](Self::end_row).
#[derive(Debug, Default)]
pub struct TableBuilder {
    columns: Vec<Column>,
    names: Dictionary,
    rows: usize,
    /// The column that the next key of a row probably names.
    next: usize,
    cells_set: u64,
}

impl TableBuilder {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rows ended so far; also the number of the row under construction, from 0.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The index of the column of that name, which is added when it is new. A decoder that reads a header first can
    /// keep the indices for [`set_at`](Self::set_at).
    ///
    /// # Errors
    /// [`Error::TooManyColumns`], [`Error::TooSparse`].
    pub fn column(&mut self, name: &str) -> Result<usize, Error> {
        let expected = self.next;
        let index = match self.columns.get(expected) {
            Some(column) if column.name() == name => expected,
            _ => self.names.intern(name) as usize,
        };
        if index == self.columns.len() {
            if index >= COLUMNS_MAX {
                return Err(Error::TooManyColumns { limit: COLUMNS_MAX });
            }
            // Before the row ends: one row behind many may name many columns, each of which fills up to that row.
            self.check_density(self.rows, index + 1)?;
            self.columns.push(Column::new(name.to_owned()));
        }
        self.next = index + 1;
        Ok(index)
    }

    /// Sets a cell of the current row by column name; when a name repeats, the last value stays.
    ///
    /// # Errors
    /// [`Error::NotFinite`], [`Error::TooManyColumns`], [`Error::TooSparse`]. The builder is of no further use then.
    pub fn set(&mut self, name: &str, cell: Cell<'_>) -> Result<(), Error> {
        let index = self.column(name)?;
        self.set_at(index, cell)
    }

    /// Sets a cell of the current row by an index that [`column`](Self::column) gave.
    ///
    /// # Errors
    /// [`Error::NotFinite`].
    pub fn set_at(&mut self, index: usize, cell: Cell<'_>) -> Result<(), Error> {
        self.cells_set += 1;
        self.columns[index].set(self.rows, cell)
    }

    /// Ends the current row; cells that were not set are missing.
    ///
    /// # Errors
    /// [`Error::TooSparse`].
    pub fn end_row(&mut self) -> Result<(), Error> {
        self.rows += 1;
        self.next = 0;
        self.check_density(self.rows, self.columns.len())
    }

    /// A hostile body could name a new column in every row: cells grow with the square of its size.
    fn check_density(&self, rows: usize, columns: usize) -> Result<(), Error> {
        if (rows as u64).saturating_mul(columns as u64) > CELLS_FREE + CELLS_PER_SET * self.cells_set {
            return Err(Error::TooSparse { rows, columns });
        }
        Ok(())
    }

    /// The finished table.
    pub fn finish(self) -> Table {
        let Self { mut columns, rows, .. } = self;
        for column in &mut columns {
            column.close(rows);
        }
        Table { columns, rows }
    }
}
