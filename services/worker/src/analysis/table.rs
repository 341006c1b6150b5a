//! The packed table of a request as the table that is analysed.
//!
//! Promises: columns of numbers are taken over without a copy, and texts are freed as they are coded; what a peer
//! claims about lengths is checked before memory is taken for it. Leaves rows, which are no columns yet, to
//! `lepton_proto::convert::analysis`.

use lepton_analysis::{Packed, PackedColumn, Table, TableBuilder};
use lepton_domain::reason::Fault;
use lepton_proto::analysis::v1 as wire;
use lepton_proto::convert::analysis::{bounds, rows_to_table};

use super::refusal;

#[cfg(test)]
mod tests;

/// The table of a request, which gives its rows either way.
pub fn of_request(data: Vec<prost_types::Struct>, table: Option<wire::Table>) -> Result<Table, Fault> {
    match table {
        Some(_) if !data.is_empty() => Err(Fault::field(
            "table",
            "rows are given twice, as `data` and as `table`; give one",
        )),
        Some(table) => take(table),
        None => take(rows_to_table(data)?),
    }
}

/// Takes over a packed table.
pub fn take(table: wire::Table) -> Result<Table, Fault> {
    let rows = usize::try_from(table.row_count).unwrap_or(usize::MAX);
    for column in &table.columns {
        check_lengths(column, rows)?;
    }
    check_density(&table.columns, rows)?;
    if table.columns.is_empty() {
        return without_columns(rows);
    }
    Table::from_columns(table.columns.into_iter().map(|column| packed(column, rows))).map_err(refusal::fault)
}

/// `row_count` is only a claim: a few bytes could ask for any amount of work.
fn check_density(columns: &[wire::TableColumn], rows: usize) -> Result<(), Fault> {
    let lengths = |it: &wire::TableColumn| [it.numbers.len(), it.strings.len(), it.booleans.len(), it.valid.len()];
    let entries: usize = columns
        .iter()
        .filter_map(|column| lengths(column).into_iter().max())
        .sum();
    bounds::check(rows, columns.len().max(1), entries)
}

fn check_lengths(column: &wire::TableColumn, rows: usize) -> Result<(), Fault> {
    let lists = [column.numbers.len(), column.strings.len(), column.booleans.len()];
    if lists.iter().filter(|length| **length > 0).count() > 1 {
        let message = format!(
            "column {:?} has values of more than one type; fill one list",
            column.name
        );
        return Err(Fault::field("table.columns", message));
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
            return Err(Fault::field("table.columns", message));
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
fn without_columns(rows: usize) -> Result<Table, Fault> {
    let mut builder = TableBuilder::new();
    for _ in 0..rows {
        builder.end_row().map_err(refusal::fault)?;
    }
    Ok(builder.finish())
}
