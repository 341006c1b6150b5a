//! One column: its cells in the least memory, and the type that they have in common.
//!
//! Numbers and booleans are doubles (0 and 1) with NaN for a missing cell: no validity bitmap is needed because no NaN
//! can come in. Text is a dictionary of distinct strings and a code a row. A column that mixes text, numbers and
//! booleans becomes text as soon as that shows; nothing is stored for a column that is missing so far.

mod dictionary;

use std::fmt;

pub(crate) use dictionary::Dictionary;

use crate::Error;

/// The code of a missing cell in a text column.
const MISSING: u32 = u32::MAX;

/// One value of a row, as the decoder found it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// A finite number.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// A string.
    Text(&'a str),
    /// Null; an absent key means the same.
    Missing,
}

/// The type that the cells of a column have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Numbers only.
    Number,
    /// Booleans only; statistics take them as 0 and 1.
    Boolean,
    /// Text, or a mixture of text, numbers and booleans.
    Text,
    /// Every cell is missing.
    Empty,
}

impl ColumnType {
    /// Returns whether statistics treat such a column as numbers.
    pub(crate) fn is_numeric(self) -> bool {
        matches!(self, Self::Number | Self::Boolean)
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Text => "text",
            Self::Empty => "empty",
        })
    }
}

/// A named column of a [`crate::Table`].
#[derive(Debug)]
pub struct Column {
    name: String,
    count: usize,
    rows: usize,
    values: Values,
}

/// The cells. Vectors may be shorter than the table while it grows: the rest is missing.
#[derive(Debug)]
pub(crate) enum Values {
    Empty,
    Numbers(Vec<f64>),
    Booleans(Vec<f64>),
    Text(Box<TextCells>),
}

/// Distinct strings in order of first appearance ([`Dictionary`]), and the code of each row.
#[derive(Debug, Default)]
pub(crate) struct TextCells {
    pub(crate) dictionary: Dictionary,
    codes: Vec<u32>,
}

impl Column {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            count: 0,
            rows: 0,
            values: Values::Empty,
        }
    }

    /// Wraps finished cells. Without a present one the column is [`ColumnType::Empty`], whatever it was sent as.
    pub(crate) fn closed(name: String, values: Values, rows: usize) -> Self {
        let mut column = Self {
            name,
            count: 0,
            rows: 0,
            values,
        };
        column.close(rows);
        column
    }

    /// The column's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type that the cells have in common.
    pub fn kind(&self) -> ColumnType {
        match self.values {
            Values::Empty => ColumnType::Empty,
            Values::Numbers(_) => ColumnType::Number,
            Values::Booleans(_) => ColumnType::Boolean,
            Values::Text(_) => ColumnType::Text,
        }
    }

    /// Number of present cells.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Number of missing cells.
    pub fn missing(&self) -> usize {
        self.rows - self.count
    }

    /// One double a row, NaN where it is missing; `None` unless the column holds numbers or booleans.
    pub fn numbers(&self) -> Option<&[f64]> {
        match &self.values {
            Values::Numbers(values) | Values::Booleans(values) => Some(values),
            Values::Empty | Values::Text(_) => None,
        }
    }

    /// One string a row, `None` where it is missing; `None` altogether unless this is a text column.
    pub fn texts(&self) -> Option<impl Iterator<Item = Option<&str>>> {
        self.text_cells()
            .map(|text| text.codes.iter().map(|&code| text.dictionary.get(code)))
    }

    pub(crate) fn text_cells(&self) -> Option<&TextCells> {
        match &self.values {
            Values::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Sets the cell of `row`, which is the last one so far; the last of several values for one cell stays.
    pub(crate) fn set(&mut self, row: usize, cell: Cell<'_>) -> Result<(), Error> {
        if let Cell::Number(value) = cell
            && !value.is_finite()
        {
            return Err(Error::NotFinite {
                column: self.name.clone(),
                row,
            });
        }
        match (&mut self.values, cell) {
            (Values::Empty, Cell::Missing) => {}
            (Values::Numbers(values) | Values::Booleans(values), Cell::Missing) => values.truncate(row),
            (Values::Text(text), Cell::Missing) => text.codes.truncate(row),
            (Values::Numbers(values), Cell::Number(value)) => place(values, row, value, f64::NAN),
            (Values::Booleans(values), Cell::Boolean(value)) => place(values, row, number(value), f64::NAN),
            (Values::Text(text), cell) => text.set(row, cell),
            (Values::Empty, cell) => self.values = Values::starting(row, cell),
            (Values::Numbers(_) | Values::Booleans(_), cell) => {
                let mut text = self.values.to_text();
                text.set(row, cell);
                self.values = Values::Text(Box::new(text));
            }
        }
        Ok(())
    }

    /// Fills up to the table's length and fixes count and type.
    pub(crate) fn close(&mut self, rows: usize) {
        self.rows = rows;
        self.count = match &mut self.values {
            Values::Empty => 0,
            Values::Numbers(values) | Values::Booleans(values) => {
                values.resize(rows, f64::NAN);
                values.iter().filter(|value| !value.is_nan()).count()
            }
            Values::Text(text) => {
                text.codes.resize(rows, MISSING);
                text.codes.iter().filter(|&&code| code != MISSING).count()
            }
        };
        if self.count == 0 {
            self.values = Values::Empty;
        }
    }
}

impl Values {
    /// The cells of a column whose first present cell stands in `row`.
    fn starting(row: usize, cell: Cell<'_>) -> Self {
        match cell {
            Cell::Missing => Self::Empty,
            Cell::Number(value) => {
                let mut values = vec![f64::NAN; row];
                values.push(value);
                Self::Numbers(values)
            }
            Cell::Boolean(value) => {
                let mut values = vec![f64::NAN; row];
                values.push(number(value));
                Self::Booleans(values)
            }
            Cell::Text(_) => {
                let mut text = TextCells::default();
                text.set(row, cell);
                Self::Text(Box::new(text))
            }
        }
    }

    /// The same cells as text, once a column turns out to be mixed.
    fn to_text(&self) -> TextCells {
        let mut text = TextCells::default();
        if let Self::Numbers(values) | Self::Booleans(values) = self {
            let boolean = matches!(self, Self::Booleans(_));
            for (row, &value) in values.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
                text.set(
                    row,
                    if boolean {
                        Cell::Boolean(value != 0.0)
                    } else {
                        Cell::Number(value)
                    },
                );
            }
        }
        text
    }
}

impl TextCells {
    pub(crate) fn set(&mut self, row: usize, cell: Cell<'_>) {
        let code = match cell {
            Cell::Text(text) => self.dictionary.intern(text),
            Cell::Number(value) => self.dictionary.intern(&number_text(value)),
            Cell::Boolean(value) => self.dictionary.intern(if value { "true" } else { "false" }),
            Cell::Missing => MISSING,
        };
        place(&mut self.codes, row, code, MISSING);
    }

    /// Occurrences of each string, in the dictionary's order.
    pub(crate) fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.dictionary.len()];
        for &code in self.codes.iter().filter(|&&code| code != MISSING) {
            counts[code as usize] += 1;
        }
        counts
    }
}

/// Writes the cell of the last row, filling the rows before it that had none.
fn place<T: Copy>(values: &mut Vec<T>, row: usize, value: T, missing: T) {
    if values.len() != row {
        values.resize(row, missing);
    }
    values.push(value);
}

/// A boolean as statistics see it.
pub(crate) fn number(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// A number in a mixed column: the shortest digits that read back the same, with an exponent only for very large or
/// small ones, as JSON writers do.
fn number_text(value: f64) -> String {
    if value == 0.0 || (1e-4..1e16).contains(&value.abs()) {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}

#[cfg(test)]
mod tests;
