//! Packed columns in the input of an `analyze` task: the field `table` of the online call, as JSON.
//!
//! Promises: lowerCamelCase and snake_case names are both taken, as everywhere. Leaves lengths to `analysis::table`.

use lepton_domain::reason::Fault;
use lepton_proto::analysis::v1::{Table, TableColumn};
use lepton_proto::convert::value::JsonFault;
use lepton_proto::convert::value::read::Reader;

use super::decode::unknown_field;

/// Reads the table that begins here.
pub fn read(reader: &mut Reader<'_>) -> Result<Table, Fault> {
    open(reader, b'{', 1, "table")?;
    let mut table = Table::default();
    while reader.element(b'}')? {
        let key = reader.key()?;
        match &*key {
            "columns" => {
                open(reader, b'[', 2, "table.columns")?;
                while reader.element(b']')? {
                    table.columns.push(column(reader)?);
                }
            }
            "rowCount" | "row_count" => table.row_count = count(reader)?,
            unknown => return Err(unknown_field(unknown)),
        }
    }
    Ok(table)
}

fn column(reader: &mut Reader<'_>) -> Result<TableColumn, Fault> {
    open(reader, b'{', 3, "table.columns")?;
    let mut column = TableColumn::default();
    while reader.element(b'}')? {
        let key = reader.key()?;
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

fn open(reader: &mut Reader<'_>, with: u8, depth: usize, field: &str) -> Result<(), Fault> {
    if reader.peek()? != with {
        let what = if with == b'[' { "not a list" } else { "not an object" };
        return Err(Fault::field(field, what));
    }
    Ok(reader.open(depth)?)
}

fn list<'a, T>(
    reader: &mut Reader<'a>,
    field: &str,
    one: impl Fn(&mut Reader<'a>) -> Result<T, JsonFault>,
) -> Result<Vec<T>, Fault> {
    open(reader, b'[', 4, field)?;
    let mut list = Vec::new();
    while reader.element(b']')? {
        reader.peek()?;
        list.push(one(reader)?);
    }
    Ok(list)
}

fn boolean(reader: &mut Reader<'_>) -> Result<bool, JsonFault> {
    if reader.peek()? == b't' {
        reader.word("true").map(|()| true)
    } else {
        reader.word("false").map(|()| false)
    }
}

fn count(reader: &mut Reader<'_>) -> Result<u32, Fault> {
    reader.peek()?;
    let number = reader.number()?;
    if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) {
        return Ok(number as u32);
    }
    Err(Fault::field(
        "table.row_count",
        format!("{number} is not a number of rows"),
    ))
}
