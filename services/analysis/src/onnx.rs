//! ONNX files (https://github.com/onnx/onnx): writing a linear model as one, and checking the structure of any.
//!
//! Promises: equal models are equal bytes; [`check`] answers on any bytes without a panic, with memory in proportion to
//! what was sent and nothing read from elsewhere. Leaves running models, and with it the meaning of operators, to a
//! backend.

mod check;
mod element;
mod graph;
mod outline;
mod proto;
mod read;
mod refusal;
mod tensor;
mod wire;
mod write;

pub use check::check;
pub use element::Element;
pub use outline::{Outline, Port};
pub use refusal::Refusal;
pub use write::{FEATURES, INPUT, Linear, OPSET, OUTPUT};

#[cfg(test)]
mod tests;
