//! ONNX files (https://github.com/onnx/onnx): writing a linear model as one, and checking the structure of any.
//!
//! Promises: equal models are equal bytes; [`check`] answers on any bytes without a panic, with memory in proportion to
//! the file and nothing read from elsewhere. Leaves running models, and with it the meaning of operators, to a
//! backend.

mod check;
mod element;
mod graph;
mod invalid_model;
mod outline;
mod proto;
mod read;
mod tensor;
mod wire;
mod write;

pub use check::check;
pub use element::Element;
pub use invalid_model::InvalidModel;
pub use outline::{Outline, Port};
pub use write::{FEATURES, INPUT, Linear, OPSET, OUTPUT};

#[cfg(test)]
mod tests;
