//! Numerics: columns, statistics, correlation and least squares.
//!
//! Rows or packed columns become a [`Table`]; [`analyze`] turns a table into a [`Report`]. Everything here is a pure
//! function of its arguments: no I/O, no clock, no randomness, no other Lepton crate. A figure that is not defined, or
//! that a double cannot hold, is `None`, never NaN or an infinity. Long loops call a closure of the caller, which may stop them.
//!
//! Wire formats, JSON and the choice of threads are left to the worker.

mod analyze;
mod chunk;
mod column;
mod correlate;
mod describe;
mod error;
mod interval;
pub mod linear;
mod moments;
mod names;
pub mod onnx;
mod outlier;
mod quantile;
mod sum;
mod table;
pub mod train;

pub use analyze::{Options, Report, analyze};
pub use column::{Cell, Column, ColumnType};
pub use correlate::Correlation;
pub use describe::{ColumnFigures, ColumnReport, NumberFigures, TextFigures, ValueCount};
pub use error::Error;
pub use interval::{Interval, IntervalMethod};
pub use names::ColumnNames;
pub use quantile::Quantiles;
pub use table::{Packed, PackedColumn, Table, TableBuilder};
