//! Packed columns: the field `table` of a body, straight into its typed form.
//!
//! Promises: one pass, no tree; memory in proportion to the text. Leaves the lengths of the lists to the workers.

use lepton_domain::reason::{Fault, Reason};
use lepton_proto::analysis::v1::{Table, TableColumn};
use lepton_proto::convert::analysis::bounds;
use lepton_proto::convert::value::JsonFault;
use lepton_proto::convert::value::read::Reader;

use crate::transcode::fault::{Position, at};

/// Why a table was not taken.
#[derive(Debug)]
pub enum BadTable {
    /// Its text is not JSON, or a number in it is not exact; positions count from the table's first byte.
    Text(JsonFault),
    /// It is JSON of the wrong shape, or too wide.
    Shape(Fault),
}

impl BadTable {
    /// What the caller is told; `position` is where the table begins in the body.
    pub fn fault(self, position: Position) -> Fault {
        match self {
            Self::Text(fault) => {
                let inner = Position {
                    line: fault.line.max(1),
                    column: fault.column.max(1),
                };
                let Position { line, column } = position.plus(inner);
                Fault::from(JsonFault { line, column, ..fault })
            }
            Self::Shape(fault) => at(fault, position),
        }
    }
}

impl From<JsonFault> for BadTable {
    fn from(fault: JsonFault) -> Self {
        Self::Text(fault)
    }
}

/// Reads the table that is the whole of `text`.
pub fn read(text: &[u8]) -> Result<Table, BadTable> {
    let mut reader = Reader::new(text)?;
    let mut table = Table::default();
    open(&mut reader, b'{', 1, "table")?;
    while reader.element(b'}')? {
        let key = reader.key()?;
        if is_null(&mut reader)? {
            continue;
        }
        match &*key {
            "columns" => {
                open(&mut reader, b'[', 2, "table.columns")?;
                while reader.element(b']')? {
                    bounds::check(0, table.columns.len() + 1, 0).map_err(BadTable::Shape)?;
                    table.columns.push(column(&mut reader)?);
                }
            }
            "rowCount" | "row_count" => table.row_count = count(&mut reader)?,
            unknown => return Err(unknown_field(unknown)),
        }
    }
    reader.end()?;
    Ok(table)
}

fn column(reader: &mut Reader<'_>) -> Result<TableColumn, BadTable> {
    open(reader, b'{', 3, "table.columns")?;
    let mut column = TableColumn::default();
    while reader.element(b'}')? {
        let key = reader.key()?;
        if is_null(reader)? {
            continue;
        }
        match &*key {
            "name" => column.name = reader.text()?.into_owned(),
            "numbers" => column.numbers = list(reader, "table.columns.numbers", Reader::number)?,
            "strings" => {
                let text = |reader: &mut Reader<'_>| reader.text().map(|text| text.into_owned());
                column.strings = list(reader, "table.columns.strings", text)?;
            }
            "booleans" => column.booleans = list(reader, "table.columns.booleans", boolean)?,
            "valid" => column.valid = list(reader, "table.columns.valid", boolean)?,
            unknown => return Err(unknown_field(unknown)),
        }
    }
    Ok(column)
}

fn open(reader: &mut Reader<'_>, with: u8, depth: usize, field: &str) -> Result<(), BadTable> {
    if reader.peek()? != with {
        let what = if with == b'[' { "not a list" } else { "not an object" };
        return Err(BadTable::Shape(Fault::field(field, what)));
    }
    Ok(reader.open(depth)?)
}

fn list<'a, T>(
    reader: &mut Reader<'a>,
    field: &str,
    one: impl Fn(&mut Reader<'a>) -> Result<T, JsonFault>,
) -> Result<Vec<T>, BadTable> {
    open(reader, b'[', 4, field)?;
    let mut list = Vec::new();
    while reader.element(b']')? {
        reader.peek()?;
        list.push(one(reader)?);
    }
    Ok(list)
}

/// Steps over a null, which stands for an absent field.
fn is_null(reader: &mut Reader<'_>) -> Result<bool, JsonFault> {
    match reader.peek()? {
        b'n' => reader.word("null").map(|()| true),
        _ => Ok(false),
    }
}

fn boolean(reader: &mut Reader<'_>) -> Result<bool, JsonFault> {
    if reader.peek()? == b't' {
        reader.word("true").map(|()| true)
    } else {
        reader.word("false").map(|()| false)
    }
}

fn count(reader: &mut Reader<'_>) -> Result<u32, BadTable> {
    reader.peek()?;
    let number = reader.number()?;
    if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) {
        return Ok(number as u32);
    }
    let message = format!("{number} is not a number of rows");
    Err(BadTable::Shape(Fault::field("table.row_count", message)))
}

fn unknown_field(name: &str) -> BadTable {
    let shown: String = name.chars().take(64).collect();
    let fault = Fault::new(Reason::UnknownField, format!("`table` has no field {shown:?}"));
    BadTable::Shape(fault.with("field", shown))
}
