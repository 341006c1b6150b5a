//! Decoding of CSV (RFC 4180) with a header line, straight into columns.
//!
//! An empty cell is missing. A cell that reads as a number is one, and `true` and `false` are truth values; everything
//! else is text. As in JSON, an integer beyond 2^53 is refused, for it would change silently.

use std::collections::HashSet;

use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim};
use lepton_analysis::{Cell, Table, TableBuilder};
use lepton_domain::text::excerpt;

use crate::error::{Error, InputError};
use crate::kinds::rows;

/// Largest integer up to which every integer is a double.
const INTEGER_MAX: u64 = 1 << 53;

/// Decodes the whole text.
pub(super) fn read(text: &[u8], cancelled: &dyn Fn() -> bool) -> Result<Table, Error> {
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(text);
    let header = reader.headers().map_err(|error| unreadable(&error))?.clone();
    check_header(&header)?;
    let mut table = TableBuilder::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| unreadable(&error))? {
        let row = table.rows();
        rows::poll(&table, cancelled)?;
        for (column, text) in header.iter().zip(&record) {
            table.set(column, cell(text, row, column)?)?;
        }
        table.end_row()?;
    }
    if table.rows() == 0 {
        let message = "the upload has a header line and no rows; if it is no CSV, send JSON";
        return Err(InputError::NoRows(message).into());
    }
    Ok(table.finish())
}

fn check_header(header: &StringRecord) -> Result<(), InputError> {
    let mut names = HashSet::new();
    for (index, name) in header.iter().enumerate() {
        if name.is_empty() {
            let message = format!("column {} of the header line has no name", index + 1);
            return Err(InputError::field("blob", message));
        }
        if !names.insert(name) {
            let message = format!("the header line names column {:?} twice", excerpt(name));
            return Err(InputError::field("blob", message));
        }
    }
    Ok(())
}

fn cell<'a>(text: &'a str, row: usize, column: &str) -> Result<Cell<'a>, InputError> {
    match text {
        "" => return Ok(Cell::Missing),
        "true" => return Ok(Cell::Boolean(true)),
        "false" => return Ok(Cell::Boolean(false)),
        _ => {}
    }
    // What is not finite, as `nan` and `inf`, is a word like any other.
    let digits = text.bytes().any(|byte| byte.is_ascii_digit());
    let Some(number) = text.parse::<f64>().ok().filter(|_| digits) else {
        return Ok(Cell::Text(text));
    };
    let magnitude = text.trim_start_matches(['-', '+']);
    let integer = magnitude.bytes().all(|byte| byte.is_ascii_digit());
    let exact = !integer || magnitude.parse::<u64>().is_ok_and(|value| value <= INTEGER_MAX);
    if exact && number.is_finite() {
        return Ok(Cell::Number(number));
    }
    Err(InputError::NotExact {
        row,
        column: column.to_owned(),
        shown_column: excerpt(column).into_owned(),
        shown: excerpt(text).into_owned(),
        limit: if integer { "2^53" } else { "the largest double" },
    })
}

fn unreadable(error: &csv::Error) -> InputError {
    let row = |position: &Option<csv::Position>| {
        // The header is the first record.
        let record = position.as_ref().map_or(0, csv::Position::record);
        usize::try_from(record).unwrap_or(usize::MAX).saturating_sub(1)
    };
    match error.kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let problem = format!("a row of {len} cells; the header line has {expected_len}");
            InputError::Row {
                row: row(pos),
                column: None,
                problem,
            }
        }
        ErrorKind::Utf8 { pos, .. } => InputError::Row {
            row: row(pos),
            column: None,
            problem: "text that is not UTF-8".to_owned(),
        },
        _ => InputError::field("blob", format!("the upload cannot be read as CSV: {error}")),
    }
}
