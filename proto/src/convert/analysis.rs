//! Conversion of rows to columns: the table that workers analyse.
//!
//! Promises: one pass, and memory for the columns alone, in proportion to the message; columns stand in order of first
//! appearance. Leaves the meaning of columns to `lepton-analysis`.

use lepton_domain::reason::{ApiError, Reason};
use prost_types::Struct;
use prost_types::value::Kind;

use crate::analysis::v1::Table;
use column::Column;

mod bounds;
mod column;
pub mod packed;
#[cfg(test)]
mod tests;

/// Value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Absent value.
    Missing,
    /// Finite number.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// Text.
    Text(String),
}

/// Builder of a [`Table`], value by value.
#[derive(Debug, Default)]
pub struct TableBuilder {
    columns: Vec<Column>,
    by_name: std::collections::HashMap<String, usize>,
    rows: usize,
    /// Values set, missing ones too: each took space in the message.
    cells_set: usize,
    /// Likely position of the next value: rows tend to name their columns in the same order.
    next: usize,
}

impl TableBuilder {
    /// Empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value of the current row. Of two for the same column the last stands. Fails with INVALID_ROW where a new
    /// column makes the table too wide or too sparse; it is of no further use then.
    pub fn set(&mut self, column: &str, cell: Cell) -> Result<(), ApiError> {
        let index = match self.columns.get(self.next) {
            Some(expected) if expected.name() == column => self.next,
            _ => self.find(column)?,
        };
        self.cells_set += 1;
        self.columns[index].set(self.rows, cell);
        self.next = index + 1;
        Ok(())
    }

    fn find(&mut self, name: &str) -> Result<usize, ApiError> {
        if let Some(index) = self.by_name.get(name) {
            return Ok(*index);
        }
        let index = self.columns.len();
        // Before the row ends: one row behind many may name many columns, each of which fills up to that row.
        bounds::check(self.rows, index + 1, self.cells_set)
            .map_err(|error| error.with("row", self.rows.to_string()).with("column", name))?;
        self.columns.push(Column::new(name));
        self.by_name.insert(name.to_owned(), index);
        Ok(index)
    }

    /// Ends the current row; columns that it did not name have no value in it. Fails with INVALID_ROW where that makes
    /// the table too sparse.
    pub fn end_row(&mut self) -> Result<(), ApiError> {
        bounds::check(self.rows + 1, self.columns.len(), self.cells_set)
            .map_err(|error| error.with("row", self.rows.to_string()))?;
        self.rows += 1;
        self.next = 0;
        Ok(())
    }

    /// Number of rows that have ended.
    pub fn row_count(&self) -> usize {
        self.rows
    }

    /// Returns the table. Fails with NO_ROWS when it has none.
    pub fn finish(self) -> Result<Table, ApiError> {
        if self.rows == 0 {
            return Err(ApiError::new(
                Reason::NoRows,
                "there are no rows: give at least one object in `data`",
            ));
        }
        let row_count = u32::try_from(self.rows)
            .map_err(|_| ApiError::field("data", format!("{} rows, at most {} are taken", self.rows, u32::MAX)))?;
        let columns = self
            .columns
            .into_iter()
            .map(|column| column.finish(self.rows))
            .collect();
        Ok(Table { columns, row_count })
    }
}

/// The rows of a request, which come as a packed table or one by one. Fails with FIELD_INVALID where they come as both.
pub fn to_table(data: Vec<Struct>, table: Option<Table>) -> Result<Table, ApiError> {
    match table {
        Some(_) if !data.is_empty() => {
            let problem = "rows are given twice, as `data` and as `table`; give one";
            Err(ApiError::field("table", problem))
        }
        Some(table) => Ok(table),
        None => rows_to_table(data),
    }
}

/// Converts the rows of a gRPC request. Fails with NO_ROWS, or with INVALID_ROW where a value is nested or not finite,
/// or where the table is too wide or too sparse.
fn rows_to_table(rows: Vec<Struct>) -> Result<Table, ApiError> {
    let mut table = TableBuilder::new();
    for row in rows {
        for (name, value) in row.fields {
            let cell = cell(value.kind).map_err(|what| invalid_row(table.row_count(), Some(&name), what))?;
            table.set(&name, cell)?;
        }
        table.end_row()?;
    }
    table.finish()
}

fn cell(kind: Option<Kind>) -> Result<Cell, &'static str> {
    match kind {
        None | Some(Kind::NullValue(_)) => Ok(Cell::Missing),
        Some(Kind::NumberValue(number)) if number.is_finite() => Ok(Cell::Number(number)),
        Some(Kind::NumberValue(_)) => Err("a number that is not finite: send null for a missing value"),
        Some(Kind::BoolValue(value)) => Ok(Cell::Boolean(value)),
        Some(Kind::StringValue(text)) => Ok(Cell::Text(text)),
        Some(Kind::ListValue(_)) => Err("an array: rows are flat"),
        Some(Kind::StructValue(_)) => Err("an object: rows are flat"),
    }
}

/// Error of a row that is not a flat object. Rows count from 0, as in `data[0]`; `column` is absent when the row itself
/// is wrong.
pub fn invalid_row(row: usize, column: Option<&str>, what: &str) -> ApiError {
    let place = match column {
        Some(column) => format!("data[{row}].{column}"),
        None => format!("data[{row}]"),
    };
    let error = ApiError::new(Reason::InvalidRow, format!("{place} is {what}")).with("row", row.to_string());
    match column {
        Some(column) => error.with("column", column),
        None => error,
    }
}
