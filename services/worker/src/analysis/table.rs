//! The table that is analysed, from a request's packed table.
//!
//! Promises: columns of numbers are taken over without a copy, and texts are freed as they are coded. Leaves rows, and the
//! checks of what a peer claims, to [`lepton_proto::convert::analysis`].

use lepton_analysis::{Packed, PackedColumn, Table, TableBuilder};
use lepton_proto::analysis::v1 as wire;
use lepton_proto::convert::analysis::packed::check_lengths;
use lepton_proto::convert::analysis::to_table;

use crate::error::Error;

#[cfg(test)]
mod tests;

/// Converts the rows of a request, which come as a packed table or one by one.
pub(crate) fn from_request(data: Vec<prost_types::Struct>, table: Option<wire::Table>) -> Result<Table, Error> {
    from_packed(to_table(data, table)?)
}

/// Takes over a packed table.
pub(crate) fn from_packed(table: wire::Table) -> Result<Table, Error> {
    let rows = check_lengths(&table)?;
    if table.columns.is_empty() {
        return without_columns(rows);
    }
    let columns = table.columns.into_iter().map(|column| packed(column, rows));
    Ok(Table::from_columns(columns)?)
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
