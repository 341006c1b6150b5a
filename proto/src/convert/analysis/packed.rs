//! Packed columns as JSON: the field `table` of an online call or of a task's input, straight into its typed form.
//!
//! Promises: one pass, no tree; memory in proportion to the text; lowerCamelCase and snake_case names are both taken,
//! and null stands for an absent field, as everywhere. Leaves what the columns mean to whoever analyses them.

use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::text::excerpt;

use super::bounds;
use crate::analysis::v1::{Table, TableColumn};
use crate::convert::value::JsonError;
use crate::convert::value::read::Reader;

/// Why a table was not taken.
#[derive(Debug)]
pub enum BadTable {
    /// Its text is not JSON, or a number in it is not exact.
    Text(JsonError),
    /// It is JSON of the wrong shape, or too wide.
    Shape(ApiError),
}

impl From<JsonError> for BadTable {
    fn from(error: JsonError) -> Self {
        Self::Text(error)
    }
}

impl From<BadTable> for ApiError {
    fn from(bad: BadTable) -> Self {
        match bad {
            BadTable::Text(error) => error.into(),
            BadTable::Shape(error) => error,
        }
    }
}

/// Checks the lengths of the lists of a table, and returns the number of its rows: `row_count` is only a claim, and a few
/// bytes could demand any amount of work. Fails with FIELD_INVALID or INVALID_ROW.
pub fn check_lengths(table: &Table) -> Result<usize, ApiError> {
    let rows = usize::try_from(table.row_count).unwrap_or(usize::MAX);
    let mut entries = 0;
    for column in &table.columns {
        entries += check_column(column, rows)?;
    }
    bounds::check(rows, table.columns.len().max(1), entries)?;
    Ok(rows)
}

/// The length of the longest list of a column.
fn check_column(column: &TableColumn, rows: usize) -> Result<usize, ApiError> {
    let name = &column.name;
    let lists = [column.numbers.len(), column.strings.len(), column.booleans.len()];
    if lists.iter().filter(|length| **length > 0).count() > 1 {
        let message = format!("column {name:?} has values of more than one type; fill one list");
        return Err(ApiError::field("table.columns", message));
    }
    let lengths = lists.into_iter().chain([column.valid.len()]);
    if let Some(found) = lengths.clone().find(|length| *length > 0 && *length != rows) {
        let message = format!("column {name:?} has {found} entries, but `row_count` is {rows}");
        return Err(ApiError::field("table.columns", message));
    }
    Ok(lengths.max().unwrap_or_default())
}

/// Reads the table that begins here.
pub fn read(reader: &mut Reader<'_>) -> Result<Table, BadTable> {
    let mut table = Table::default();
    open(reader, b'{', 1, "table")?;
    while reader.element(b'}')? {
        let key = reader.key()?;
        if is_null(reader)? {
            continue;
        }
        match &*key {
            "columns" => {
                open(reader, b'[', 2, "table.columns")?;
                while reader.element(b']')? {
                    bounds::check(0, table.columns.len() + 1, 0).map_err(BadTable::Shape)?;
                    table.columns.push(column(reader)?);
                }
            }
            "rowCount" | "row_count" => table.row_count = count(reader)?,
            unknown => return Err(unknown_field(unknown)),
        }
    }
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
        return Err(BadTable::Shape(ApiError::field(field, what)));
    }
    Ok(reader.open(depth)?)
}

fn list<'a, T>(
    reader: &mut Reader<'a>,
    field: &str,
    one: impl Fn(&mut Reader<'a>) -> Result<T, JsonError>,
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
fn is_null(reader: &mut Reader<'_>) -> Result<bool, JsonError> {
    match reader.peek()? {
        b'n' => reader.word("null").map(|()| true),
        _ => Ok(false),
    }
}

fn boolean(reader: &mut Reader<'_>) -> Result<bool, JsonError> {
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
    Err(BadTable::Shape(ApiError::field("table.row_count", message)))
}

fn unknown_field(name: &str) -> BadTable {
    let shown = excerpt(name);
    let error = ApiError::new(Reason::UnknownField, format!("`table` has no field {shown:?}"));
    BadTable::Shape(error.with("field", shown))
}
