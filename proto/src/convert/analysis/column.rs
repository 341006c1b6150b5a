//! One column while its rows arrive.
//!
//! Promises: a column of one type keeps that type; one of several becomes text. Leaves order and names to the table.

use super::Cell;
use crate::analysis::v1::TableColumn;
use crate::convert::value::write::write_number;

/// The values so far, one for every row up to the last that had one.
#[derive(Debug)]
pub(super) struct Column {
    name: String,
    values: Values,
    /// Presence of a value in each row; `None` while all have one.
    valid: Option<Vec<bool>>,
}

/// Values of one type. Rows without a value hold a zero, which nobody reads.
#[derive(Debug)]
enum Values {
    Empty(usize),
    Numbers(Vec<f64>),
    Booleans(Vec<bool>),
    Texts(Vec<String>),
}

impl Column {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            values: Values::Empty(0),
            valid: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Sets the value of this row, the last or a new one.
    pub(super) fn set(&mut self, row: usize, cell: Cell) {
        self.resize(row);
        let present = cell != Cell::Missing;
        if present {
            self.push(cell);
        } else {
            self.values.resize(row + 1);
        }
        match &mut self.valid {
            Some(valid) => valid.push(present),
            None if present => {}
            None => {
                let mut valid = vec![true; row];
                valid.push(false);
                self.valid = Some(valid);
            }
        }
    }

    /// Makes the column exactly this long: rows that were skipped have no value, a row set twice loses its first one.
    fn resize(&mut self, rows: usize) {
        let length = self.values.len();
        self.values.resize(rows);
        if let Some(valid) = &mut self.valid {
            valid.resize(rows, false);
        } else if length < rows {
            let mut valid = vec![true; length];
            valid.resize(rows, false);
            self.valid = Some(valid);
        }
    }

    fn push(&mut self, cell: Cell) {
        if let Values::Empty(rows) = self.values {
            self.values = Values::like(&cell, rows);
        }
        match (&mut self.values, cell) {
            (Values::Numbers(values), Cell::Number(value)) => values.push(value),
            (Values::Booleans(values), Cell::Boolean(value)) => values.push(value),
            (Values::Texts(values), cell) => values.push(text(cell)),
            (_, cell) => self.push_mixed(cell),
        }
    }

    /// A value of another type than those before: all become text.
    fn push_mixed(&mut self, cell: Cell) {
        let cells: Vec<Cell> = match std::mem::replace(&mut self.values, Values::Empty(0)) {
            Values::Numbers(values) => values.into_iter().map(Cell::Number).collect(),
            Values::Booleans(values) => values.into_iter().map(Cell::Boolean).collect(),
            Values::Texts(values) => values.into_iter().map(Cell::Text).collect(),
            Values::Empty(rows) => vec![Cell::Missing; rows],
        };
        let has_value = |row: usize| self.valid.as_ref().is_none_or(|valid| valid[row]);
        let texts = cells
            .into_iter()
            .enumerate()
            .map(|(row, it)| if has_value(row) { text(it) } else { String::new() });
        let mut texts: Vec<String> = texts.collect();
        texts.push(text(cell));
        self.values = Values::Texts(texts);
    }

    pub(super) fn finish(mut self, rows: usize) -> TableColumn {
        self.resize(rows);
        let mut column = TableColumn {
            name: self.name,
            valid: self.valid.unwrap_or_default(),
            ..Default::default()
        };
        match self.values {
            Values::Empty(_) => {}
            Values::Numbers(values) => column.numbers = values,
            Values::Booleans(values) => column.booleans = values,
            Values::Texts(values) => column.strings = values,
        }
        column
    }
}

impl Values {
    /// Values of the type of this cell, with so many rows without one.
    fn like(cell: &Cell, rows: usize) -> Self {
        match cell {
            Cell::Missing => Values::Empty(rows),
            Cell::Number(_) => Values::Numbers(vec![0.0; rows]),
            Cell::Boolean(_) => Values::Booleans(vec![false; rows]),
            Cell::Text(_) => Values::Texts(vec![String::new(); rows]),
        }
    }

    fn len(&self) -> usize {
        match self {
            Values::Empty(rows) => *rows,
            Values::Numbers(values) => values.len(),
            Values::Booleans(values) => values.len(),
            Values::Texts(values) => values.len(),
        }
    }

    fn resize(&mut self, rows: usize) {
        match self {
            Values::Empty(length) => *length = rows,
            Values::Numbers(values) => values.resize(rows, 0.0),
            Values::Booleans(values) => values.resize(rows, false),
            Values::Texts(values) => values.resize(rows, String::new()),
        }
    }
}

/// A value as text, as JSON would print it.
fn text(cell: Cell) -> String {
    match cell {
        Cell::Missing => String::new(),
        Cell::Text(text) => text,
        Cell::Boolean(value) => value.to_string(),
        Cell::Number(value) => {
            let mut text = Vec::new();
            write_number(value, &mut text);
            String::from_utf8(text).unwrap_or_default()
        }
    }
}
