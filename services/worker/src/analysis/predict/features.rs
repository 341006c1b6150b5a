//! Columns of a table as values of one input of a model.

use bytes::Bytes;
use lepton_analysis::{Column, ColumnType};
use lepton_domain::model::{DataType, Tensor as TensorSpec};

use crate::model::{Tensor, TensorError};

/// Columns and the input that takes them.
#[derive(Debug)]
pub(super) struct InputFeatures<'a> {
    pub(super) input: TensorSpec,
    pub(super) values: FeatureValues<'a>,
    /// Number of rows that the input takes at once.
    pub(super) rows_max: usize,
}

/// FeatureValues of some rows, one or several a row.
#[derive(Debug)]
pub(super) enum FeatureValues<'a> {
    Numbers(Vec<Option<&'a [f64]>>),
    Texts(Vec<Option<&'a str>>),
}

impl<'a> FeatureValues<'a> {
    /// Numbers of these columns. A column of nothing but missing values has none; the error is a column that cannot
    /// be numbers of this type.
    pub(super) fn numbers<'c>(columns: &[&'c Column], datatype: DataType) -> Result<FeatureValues<'c>, &'c Column> {
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
            .map(FeatureValues::Numbers)
    }

    /// Texts of a column.
    pub(super) fn texts(column: &'a Column) -> Option<Self> {
        if column.kind() == ColumnType::Empty {
            return Some(Self::Numbers(vec![None]));
        }
        Some(Self::Texts(column.texts()?.collect()))
    }
}

impl InputFeatures<'_> {
    /// Returns whether a row has all its values.
    pub(super) fn is_complete(&self, row: usize) -> bool {
        match &self.values {
            FeatureValues::Numbers(columns) => columns
                .iter()
                .all(|column| column.is_some_and(|numbers| !numbers[row].is_nan())),
            FeatureValues::Texts(texts) => texts[row].is_some(),
        }
    }

    /// Packs the values of complete rows for the input.
    pub(super) fn tensor(&self, rows: &[usize]) -> Result<Tensor, TensorError> {
        let TensorSpec { name, datatype, shape } = &self.input;
        let mut dimensions = vec![rows.len()];
        if shape.len() == 2 {
            dimensions.push(self.width());
        }
        match &self.values {
            FeatureValues::Texts(texts) => {
                let present = rows.iter().filter_map(|row| texts[*row]);
                let texts = present.map(|text| Bytes::copy_from_slice(text.as_bytes())).collect();
                Tensor::texts(name, dimensions, texts)
            }
            FeatureValues::Numbers(columns) => {
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
                    _ => Tensor::from_numbers(name, *datatype, dimensions, numbers),
                }
            }
        }
    }

    fn width(&self) -> usize {
        match &self.values {
            FeatureValues::Numbers(columns) => columns.len(),
            FeatureValues::Texts(_) => 1,
        }
    }
}
