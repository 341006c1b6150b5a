//! One row: a flat object whose values go straight into their columns.
//!
//! Promises: one pass, no tree; an error names the row and, where one is at fault, the column. Leaves finding the row in
//! the body to its parent.

use lepton_domain::reason::ApiError;
use lepton_proto::convert::analysis::{Cell, TableBuilder, invalid_row};
use lepton_proto::convert::value::JsonError;
use lepton_proto::convert::value::read::Reader;

/// Why a row was not taken.
#[derive(Debug)]
pub enum BadRow {
    /// Its text is not JSON, or a number in it is not exact; positions count from the row's first byte.
    Text(JsonError),
    /// It is JSON of the wrong shape, or makes the table too wide or too sparse.
    Shape(ApiError),
}

impl From<JsonError> for BadRow {
    fn from(error: JsonError) -> Self {
        Self::Text(error)
    }
}

/// Reads the row that is the whole of `text` into the table.
pub fn read(text: &[u8], table: &mut TableBuilder) -> Result<(), BadRow> {
    let mut reader = Reader::new(text)?;
    let shape = |column: Option<&str>, what: &str| BadRow::Shape(invalid_row(table.row_count(), column, what));
    match reader.peek()? {
        b'{' => {}
        b'[' => return Err(shape(None, "an array: a row is an object of column names and values")),
        _ => {
            scalar(&mut reader)?;
            return Err(shape(
                None,
                "a single value: a row is an object of column names and values",
            ));
        }
    }
    reader.open(0)?;
    while reader.element(b'}')? {
        let column = reader.key()?;
        match reader.peek()? {
            b'{' => {
                return Err(BadRow::Shape(invalid_row(
                    table.row_count(),
                    Some(&column),
                    "an object: rows are flat",
                )));
            }
            b'[' => {
                return Err(BadRow::Shape(invalid_row(
                    table.row_count(),
                    Some(&column),
                    "an array: rows are flat",
                )));
            }
            _ => {
                let cell = scalar(&mut reader)?;
                table.set(&column, cell).map_err(BadRow::Shape)?;
            }
        }
    }
    reader.end()?;
    table.end_row().map_err(BadRow::Shape)
}

fn scalar(reader: &mut Reader<'_>) -> Result<Cell, JsonError> {
    Ok(match reader.peek()? {
        b'"' => Cell::Text(reader.text()?.into_owned()),
        b't' => reader.word("true").map(|()| Cell::Boolean(true))?,
        b'f' => reader.word("false").map(|()| Cell::Boolean(false))?,
        b'n' => reader.word("null").map(|()| Cell::Missing)?,
        _ => Cell::Number(reader.number()?),
    })
}
