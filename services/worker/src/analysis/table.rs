//! Conversion of a request's packed table into the table that is analysed.
//!
//! Promises: columns of numbers are taken over without a copy, and texts are freed as they are coded; lengths that a peer
//! claims are checked before memory is taken for them. Leaves rows, which are no columns yet, to
//! [`lepton_proto::convert::analysis`].

use lepton_analysis::{Packed, PackedColumn, Table, TableBuilder};
use lepton_proto::analysis::v1 as wire;
use lepton_proto::convert::analysis::{bounds, rows_to_table};

use crate::error::{Error, InputError};

#[cfg(test)]
mod tests;

/// Converts the rows of a request, which come as a packed table or one by one.
pub(crate) fn from_request(data: Vec<prost_types::Struct>, table: Option<wire::Table>) -> Result<Table, Error> {
    match table {
        Some(_) if !data.is_empty() => {
            let problem = "rows are given twice, as `data` and as `table`; give one";
            Err(InputError::field("table", problem).into())
        }
        Some(table) => from_packed(table),
        None => from_packed(rows_to_table(data)?),
    }
}

/// Takes over a packed table.
pub(crate) fn from_packed(table: wire::Table) -> Result<Table, Error> {
    let rows = usize::try_from(table.row_count).unwrap_or(usize::MAX);
    for column in &table.columns {
        check_lengths(column, rows)?;
    }
    check_density(&table.columns, rows)?;
    if table.columns.is_empty() {
        return without_columns(rows);
    }
    let columns = table.columns.into_iter().map(|column| packed(column, rows));
    Ok(Table::from_columns(columns)?)
}

/// Bounds the rows by the entries: `row_count` is only a claim, and a few bytes could demand any amount of work.
fn check_density(columns: &[wire::TableColumn], rows: usize) -> Result<(), Error> {
    let lengths = |it: &wire::TableColumn| [it.numbers.len(), it.strings.len(), it.booleans.len(), it.valid.len()];
    let entries: usize = columns
        .iter()
        .filter_map(|column| lengths(column).into_iter().max())
        .sum();
    Ok(bounds::check(rows, columns.len().max(1), entries)?)
}

fn check_lengths(column: &wire::TableColumn, rows: usize) -> Result<(), InputError> {
    let lists = [column.numbers.len(), column.strings.len(), column.booleans.len()];
    if lists.iter().filter(|length| **length > 0).count() > 1 {
        let message = format!(
            "column {:?} has values of more than one type; fill one list",
            column.name
        );
        return Err(InputError::field("table.columns", message));
    }
    for found in lists
        .into_iter()
        .chain([column.valid.len()])
        .filter(|length| *length > 0)
    {
        if found != rows {
            let message = format!(
                "column {:?} has {found} entries, but `row_count` is {rows}",
                column.name
            );
            return Err(InputError::field("table.columns", message));
        }
    }
    Ok(())
}

fn packed(column: wire::TableColumn, rows: usize) -> PackedColumn {
    let wire::TableColumn {
        name,
        numbers,
        strings,
        booleans,
        valid,
    } = column;
    let (values, valid) = if !numbers.is_empty() {
        (Packed::Numbers(numbers), valid)
    } else if !strings.is_empty() {
        (Packed::Text(strings), valid)
    } else if !booleans.is_empty() {
        (Packed::Booleans(booleans), valid)
    } else {
        // Columns are taken one after the other, so that room for only one such column is needed at a time.
        (Packed::Booleans(vec![false; rows]), vec![false; rows])
    };
    PackedColumn { name, values, valid }
}

/// Rows that are all `{}`.
fn without_columns(rows: usize) -> Result<Table, Error> {
    let mut builder = TableBuilder::new();
    for _ in 0..rows {
        builder.end_row()?;
    }
    Ok(builder.finish())
}
