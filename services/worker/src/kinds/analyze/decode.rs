//! The input of an `analyze` task, from its text straight into columns.
//!
//! Promises: one pass and no tree of values; the same reader, and so the same faults, as at the gateway; asks between
//! rows whether to stop. Leaves packed columns to `convert::analysis::packed`.

use std::borrow::Cow;

use lepton_analysis::{Cell, Table, TableBuilder};
use lepton_domain::reason::{Fault, Reason};
use lepton_proto::analysis::v1::Consistency;
use lepton_proto::convert::analysis::{invalid_row, packed};
use lepton_proto::convert::value::JsonFault;
use lepton_proto::convert::value::read::Reader;

use crate::analysis::{Question, refusal, table};

/// Rows read between two questions whether to stop: some tens of microseconds.
const ROWS_UNASKED: usize = 64;

/// Reads the whole input.
pub fn decode(text: &[u8], cancelled: &dyn Fn() -> bool) -> Result<(Question, Table), Fault> {
    let mut reader = Reader::new(text)?;
    if reader.peek()? != b'{' {
        return Err(Fault::new(
            Reason::InvalidJson,
            "the input is not an object with rows in `data`",
        ));
    }
    reader.open(0)?;
    let mut question = Question::default();
    let mut found = None;
    while reader.element(b'}')? {
        let key = reader.key()?;
        if reader.peek()? == b'n' {
            reader.word("null")?;
            continue;
        }
        match &*key {
            "data" => give(&mut found, rows(&mut reader, cancelled)?)?,
            "table" => give(&mut found, table::take(packed::read(&mut reader)?)?)?,
            "target" => question.target = Some(text_field(&mut reader, "target")?),
            "model" => question.model = Some(text_field(&mut reader, "model")?),
            "consistency" => question.consistency = consistency(&mut reader)?,
            unknown => return Err(unknown_field(unknown)),
        }
    }
    reader.end()?;
    question.check()?;
    let table = found.ok_or_else(no_rows)?;
    Ok((question, table))
}

fn give(found: &mut Option<Table>, table: Table) -> Result<(), Fault> {
    match found.replace(table) {
        None => Ok(()),
        Some(_) => Err(Fault::field(
            "data",
            "rows are given twice; give `data` or `table` once",
        )),
    }
}

fn no_rows() -> Fault {
    Fault::new(Reason::NoRows, "there are no rows: give at least one object in `data`")
}

/// A field that the message does not have.
pub fn unknown_field(name: &str) -> Fault {
    Fault::new(Reason::UnknownField, format!("there is no field {name:?}")).with("field", name)
}

/// A field that holds a text.
pub fn text_field(reader: &mut Reader<'_>, field: &str) -> Result<String, Fault> {
    match reader.peek()? {
        b'"' => Ok(reader.text()?.into_owned()),
        _ => Err(Fault::field(field, "not a text")),
    }
}

fn consistency(reader: &mut Reader<'_>) -> Result<Consistency, Fault> {
    let unknown = |given: &dyn std::fmt::Display| {
        Fault::field(
            "consistency",
            format!("{given} is not CONSISTENCY_ONE or CONSISTENCY_QUORUM"),
        )
    };
    if reader.peek()? == b'"' {
        let name = reader.text()?;
        return Consistency::from_str_name(&name).ok_or_else(|| unknown(&name));
    }
    let number = reader.number()?;
    let known = (0..=i32::from(u8::MAX)).find(|it| f64::from(*it) == number);
    known
        .and_then(|it| Consistency::try_from(it).ok())
        .ok_or_else(|| unknown(&number))
}

/// The rows of a list that begins here.
pub fn rows(reader: &mut Reader<'_>, cancelled: &dyn Fn() -> bool) -> Result<Table, Fault> {
    if reader.peek()? != b'[' {
        return Err(Fault::field("data", "not a list of rows"));
    }
    reader.open(1)?;
    let mut table = TableBuilder::new();
    while reader.element(b']')? {
        if table.rows().is_multiple_of(ROWS_UNASKED) && cancelled() {
            return Err(refusal::fault(lepton_analysis::Error::Cancelled));
        }
        row(reader, &mut table)?;
    }
    if table.rows() == 0 {
        Err(no_rows())
    } else {
        Ok(table.finish())
    }
}

fn row(reader: &mut Reader<'_>, table: &mut TableBuilder) -> Result<(), Fault> {
    let number = table.rows();
    let in_row = |fault: JsonFault| Fault::from(fault).with("row", number.to_string());
    match reader.peek().map_err(in_row)? {
        b'{' => reader.open(2).map_err(in_row)?,
        b'[' => {
            return Err(invalid_row(
                number,
                None,
                "an array: a row is an object of column names and values",
            ));
        }
        _ => {
            let _not_a_row = scalar(reader, &mut String::new()).map_err(in_row)?;
            return Err(invalid_row(
                number,
                None,
                "a single value: a row is an object of column names and values",
            ));
        }
    }
    let mut unescaped = String::new();
    while reader.element(b'}').map_err(in_row)? {
        let column = reader.key().map_err(in_row)?;
        let cell = match reader.peek().map_err(in_row)? {
            b'{' => return Err(invalid_row(number, Some(&column), "an object: rows are flat")),
            b'[' => return Err(invalid_row(number, Some(&column), "an array: rows are flat")),
            _ => scalar(reader, &mut unescaped).map_err(in_row)?,
        };
        table.set(&column, cell).map_err(refusal::fault)?;
    }
    table.end_row().map_err(refusal::fault)
}

/// A value that is neither array nor object; `unescaped` keeps a text that does not stand in the input as it is.
fn scalar<'c, 'i: 'c>(reader: &mut Reader<'i>, unescaped: &'c mut String) -> Result<Cell<'c>, JsonFault> {
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
