//! The columns of one input.

use bytes::Bytes;
use lepton_analysis::{Column, ColumnType};
use lepton_domain::model::{DataType, Tensor as Typed};
use lepton_domain::reason::Fault;

use crate::model::Tensor;

/// Columns and the input that they go into.
#[derive(Debug)]
pub(super) struct Features<'a> {
    pub(super) input: Typed,
    pub(super) values: Values<'a>,
    /// How many rows the input takes at once.
    pub(super) rows_max: usize,
}

/// Values of some rows, one or several a row.
#[derive(Debug)]
pub(super) enum Values<'a> {
    Numbers(Vec<Option<&'a [f64]>>),
    Texts(Vec<Option<&'a str>>),
}

impl<'a> Values<'a> {
    /// The numbers of these columns. A column of nothing but missing values has none; the error is a column that cannot
    /// be numbers of this type.
    pub(super) fn numbers<'c>(columns: &[&'c Column], datatype: DataType) -> Result<Values<'c>, &'c Column> {
        let numbers = |column: &&'c Column| match (column.kind(), datatype) {
            (ColumnType::Empty, _) => Ok(None),
            (ColumnType::Boolean, DataType::Bool) => Ok(column.numbers()),
            (_, DataType::Bool | DataType::Bytes) | (ColumnType::Text, _) => Err(*column),
            (ColumnType::Number | ColumnType::Boolean, _) => Ok(column.numbers()),
        };
        columns
            .iter()
            .map(numbers)
            .collect::<Result<_, _>>()
            .map(Values::Numbers)
    }

    /// The texts of a column.
    pub(super) fn texts(column: &'a Column) -> Option<Self> {
        if column.kind() == ColumnType::Empty {
            return Some(Self::Numbers(vec![None]));
        }
        Some(Self::Texts(column.texts()?.collect()))
    }
}

impl Features<'_> {
    /// Whether a row lacks nothing.
    pub(super) fn is_complete(&self, row: usize) -> bool {
        match &self.values {
            Values::Numbers(columns) => columns
                .iter()
                .all(|column| column.is_some_and(|numbers| !numbers[row].is_nan())),
            Values::Texts(texts) => texts[row].is_some(),
        }
    }

    /// The values of complete rows as the input takes them.
    pub(super) fn tensor(&self, rows: &[usize]) -> Result<Tensor, Fault> {
        let Typed { name, datatype, shape } = &self.input;
        let mut dimensions = vec![rows.len()];
        if shape.len() == 2 {
            dimensions.push(self.width());
        }
        match &self.values {
            Values::Texts(texts) => {
                let present = rows.iter().filter_map(|row| texts[*row]);
                let texts = present.map(|text| Bytes::copy_from_slice(text.as_bytes())).collect();
                Tensor::texts(name, dimensions, texts)
            }
            Values::Numbers(columns) => {
                let of_row = |row: &usize| {
                    columns.iter().filter_map({
                        let row = *row;
                        move |column| column.map(|numbers| numbers[row])
                    })
                };
                let numbers = rows.iter().flat_map(of_row);
                match datatype {
                    DataType::Bool => {
                        let content: Vec<u8> = numbers.map(|number| u8::from(number != 0.0)).collect();
                        Tensor::raw(name, *datatype, dimensions, content.into())
                    }
                    _ => Tensor::of_numbers(name, *datatype, dimensions, numbers),
                }
            }
        }
    }

    fn width(&self) -> usize {
        match &self.values {
            Values::Numbers(columns) => columns.len(),
            Values::Texts(_) => 1,
        }
    }
}
