//! A table: columns of one length, in order of first appearance.
//!
//! Built row by row in one pass ([`TableBuilder`]) or from packed columns, which are taken over without a copy.

mod builder;

use std::collections::HashSet;

pub use builder::TableBuilder;

use crate::column::{Cell, Column, TextCells, Values, number};
use crate::{ColumnNames, Error};

/// Columns of one length.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: usize,
}

/// The values of a column that comes in one piece. Values at invalid positions do not matter.
#[derive(Debug, Clone, PartialEq)]
pub enum Packed {
    /// Doubles, finite where valid.
    Numbers(Vec<f64>),
    /// True and false.
    Booleans(Vec<bool>),
    /// Strings.
    Text(Vec<String>),
}

/// A named column that comes in one piece, for [`Table::from_columns`].
#[derive(Debug, Clone, PartialEq)]
pub struct PackedColumn {
    /// The column's name.
    pub name: String,
    /// One value a row.
    pub values: Packed,
    /// Marks of the present rows: one a row, or none at all when every row is.
    pub valid: Vec<bool>,
}

impl Table {
    /// Takes over packed columns.
    ///
    /// # Errors
    /// [`Error::ColumnLength`], [`Error::DuplicateColumn`], [`Error::NotFinite`].
    pub fn from_columns(packed: impl IntoIterator<Item = PackedColumn>) -> Result<Self, Error> {
        let mut columns: Vec<Column> = Vec::new();
        let mut names = HashSet::new();
        let mut rows = None;
        for PackedColumn { name, values, valid } in packed {
            let expected = *rows.get_or_insert(values.len());
            for found in [values.len(), if valid.is_empty() { expected } else { valid.len() }] {
                if found != expected {
                    return Err(Error::ColumnLength {
                        column: name,
                        expected,
                        found,
                    });
                }
            }
            if !names.insert(name.clone()) {
                return Err(Error::DuplicateColumn { column: name });
            }
            let values = values.into_cells(&name, &valid)?;
            columns.push(Column::closed(name, values, expected));
        }
        Ok(Self {
            columns,
            rows: rows.unwrap_or(0),
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns in order of first appearance.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Names of the columns for a message.
    pub fn names(&self) -> ColumnNames {
        ColumnNames::of(self.columns.iter().map(Column::name))
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name() == name)
    }
}

impl Packed {
    fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Booleans(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    fn into_cells(self, name: &str, valid: &[bool]) -> Result<Values, Error> {
        let present = |row: usize| valid.get(row).copied().unwrap_or(true);
        match self {
            Self::Numbers(mut values) => {
                for (row, value) in values.iter_mut().enumerate() {
                    if !present(row) {
                        *value = f64::NAN;
                    } else if !value.is_finite() {
                        return Err(Error::NotFinite {
                            column: name.to_owned(),
                            row,
                        });
                    }
                }
                Ok(Values::Numbers(values))
            }
            Self::Booleans(values) => {
                let cell = |(row, value)| if present(row) { number(value) } else { f64::NAN };
                Ok(Values::Booleans(values.into_iter().enumerate().map(cell).collect()))
            }
            Self::Text(values) => {
                let mut text = TextCells::default();
                for (row, value) in values.iter().enumerate().filter(|&(row, _)| present(row)) {
                    text.set(row, Cell::Text(value));
                }
                Ok(Values::Text(Box::new(text)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
