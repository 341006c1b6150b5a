//! Decoding of rows in JSON, straight into columns.
//!
//! Promises: one pass and no tree of values; the same reader, and so the same errors, as at the gateway; polls for a
//! cancellation between rows. Leaves packed columns to [`lepton_proto::convert::analysis::packed`].

use std::borrow::Cow;

use lepton_analysis::{Cell, Table, TableBuilder};
use lepton_proto::convert::value::JsonError;
use lepton_proto::convert::value::read::Reader;

use crate::error::{Error, InputError};

/// Rows decoded between two polls for a cancellation: some tens of microseconds.
const ROWS_A_POLL: usize = 64;

/// The error of an input without rows.
pub(super) fn none() -> InputError {
    InputError::NoRows("there are no rows: give at least one object in `data`")
}

/// Decodes the list of rows that begins here into a [`Table`].
pub(super) fn decode(reader: &mut Reader<'_>, cancelled: &dyn Fn() -> bool) -> Result<Table, Error> {
    if reader.peek()? != b'[' {
        return Err(InputError::field("data", "not a list of rows").into());
    }
    reader.open(1)?;
    let mut table = TableBuilder::new();
    while reader.element(b']')? {
        poll(&table, cancelled)?;
        row(reader, &mut table)?;
    }
    if table.rows() == 0 {
        Err(none().into())
    } else {
        Ok(table.finish())
    }
}

/// Polls for a cancellation now and then, before a row is decoded.
pub(super) fn poll(table: &TableBuilder, cancelled: &dyn Fn() -> bool) -> Result<(), lepton_analysis::Error> {
    if table.rows().is_multiple_of(ROWS_A_POLL) && cancelled() {
        return Err(lepton_analysis::Error::Cancelled);
    }
    Ok(())
}

fn row(reader: &mut Reader<'_>, table: &mut TableBuilder) -> Result<(), Error> {
    let row = table.rows();
    let in_row = |source: JsonError| InputError::RowJson { row, source };
    let not_flat = |column: Option<&str>, problem: &str| InputError::Row {
        row,
        column: column.map(str::to_owned),
        problem: problem.to_owned(),
    };
    match reader.peek().map_err(in_row)? {
        b'{' => reader.open(2).map_err(in_row)?,
        b'[' => {
            let problem = "an array: a row is an object of column names and values";
            return Err(not_flat(None, problem).into());
        }
        _ => {
            let _not_a_row = scalar(reader, &mut String::new()).map_err(in_row)?;
            let problem = "a single value: a row is an object of column names and values";
            return Err(not_flat(None, problem).into());
        }
    }
    let mut unescaped = String::new();
    while reader.element(b'}').map_err(in_row)? {
        let column = reader.key().map_err(in_row)?;
        let cell = match reader.peek().map_err(in_row)? {
            b'{' => return Err(not_flat(Some(&column), "an object: rows are flat").into()),
            b'[' => return Err(not_flat(Some(&column), "an array: rows are flat").into()),
            _ => scalar(reader, &mut unescaped).map_err(in_row)?,
        };
        table.set(&column, cell)?;
    }
    Ok(table.end_row()?)
}

/// Decodes a value that is neither array nor object; `unescaped` keeps a text that does not stand in the input as it is.
fn scalar<'c, 'i: 'c>(reader: &mut Reader<'i>, unescaped: &'c mut String) -> Result<Cell<'c>, JsonError> {
    Ok(match reader.peek()? {
        b'"' => match reader.text()? {
            Cow::Borrowed(text) => Cell::Text(text),
            Cow::Owned(text) => {
                *unescaped = text;
                Cell::Text(unescaped)
            }
        },
        b't' => reader.word("true").map(|()| Cell::Boolean(true))?,
        b'f' => reader.word("false").map(|()| Cell::Boolean(false))?,
        b'n' => reader.word("null").map(|()| Cell::Missing)?,
        _ => Cell::Number(reader.number()?),
    })
}
