//! Inputs and outputs of a model, as its file declares them.

use std::collections::{BTreeMap, BTreeSet};

use super::element::Element;
use super::invalid_model::InvalidModel;
use super::read::{Limits, text};
use super::wire::{Content, Fields};

/// A model as its file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The version of the format.
    pub ir_version: i64,
    /// The imported operator sets by domain; the standard one's is empty.
    pub opsets: BTreeMap<String, i64>,
    /// The program that made the file; empty if it is not named.
    pub producer: String,
    /// The inputs of a call: the graph's inputs except those with a default in the file.
    pub inputs: Vec<Port>,
    /// The outputs of a call.
    pub outputs: Vec<Port>,
    /// The operators in use, as `Gemm` or `ai.onnx.ml.Scaler`.
    pub operators: BTreeSet<String>,
    /// The file's named properties.
    pub metadata: BTreeMap<String, String>,
}

/// An input or an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its element type; `None` for what is no tensor, or of a type unknown here.
    pub element: Option<Element>,
    /// Its dimensions, -1 where any is taken; `None` when the file leaves them open.
    pub shape: Option<Vec<i64>>,
    /// The names of the declared dimensions, empty where one has none. Dimensions of one name have one
    /// length, in all inputs of a call.
    pub names: Vec<String>,
}

/// A port that borrows its name.
#[derive(Debug, Default)]
pub(super) struct Value<'a> {
    pub(super) name: &'a str,
    element: Option<Element>,
    shape: Option<Vec<(i64, &'a str)>>,
}

impl Value<'_> {
    pub(super) fn port(&self) -> Port {
        let dimensions = self.shape.as_ref();
        let named = dimensions.into_iter().flatten();
        Port {
            name: self.name.to_owned(),
            element: self.element,
            shape: dimensions.map(|dimensions| dimensions.iter().map(|(length, _)| *length).collect()),
            names: named.map(|(_, name)| (*name).to_owned()).collect(),
        }
    }
}

/// An element type, and dimensions with their names.
type TensorType<'a> = (Option<Element>, Option<Vec<(i64, &'a str)>>);

/// A `ValueInfoProto`.
pub(super) fn value<'a>(message: &'a [u8], limits: &mut Limits) -> Result<Value<'a>, InvalidModel> {
    limits.one()?;
    let mut value = Value::default();
    for field in Fields::of(message) {
        match field? {
            (1, Content::Bytes(name)) => value.name = text(name)?,
            (2, Content::Bytes(kind)) => {
                // `TypeProto`: only tensors are looked into.
                for field in Fields::of(kind) {
                    if let (1, Content::Bytes(tensor)) = field? {
                        (value.element, value.shape) = tensor_type(tensor, limits)?;
                    }
                }
            }
            (1 | 2, _) => return Err(InvalidModel::broken()),
            _ => {}
        }
    }
    Ok(value)
}

/// A `TypeProto.Tensor`.
fn tensor_type<'a>(message: &'a [u8], limits: &mut Limits) -> Result<TensorType<'a>, InvalidModel> {
    let (mut element, mut shape) = (None, None);
    for field in Fields::of(message) {
        match field? {
            (1, Content::Varint(code)) => element = i32::try_from(code).ok().and_then(Element::of_code),
            (2, Content::Bytes(dims)) => {
                let dims = Fields::of(dims).map(|field| dimension(field?, limits));
                shape = Some(
                    dims.flat_map(Result::transpose)
                        .collect::<Result<Vec<_>, InvalidModel>>()?,
                );
            }
            (1 | 2, _) => return Err(InvalidModel::broken()),
            _ => {}
        }
    }
    Ok((element, shape))
}

/// A `TensorShapeProto.Dimension`; a name, or nothing at all, stands for any length.
fn dimension<'a>(field: (u32, Content<'a>), limits: &mut Limits) -> Result<Option<(i64, &'a str)>, InvalidModel> {
    let (1, Content::Bytes(message)) = field else {
        return Ok(None);
    };
    limits.one()?;
    let (mut length, mut name) = (-1, "");
    for field in Fields::of(message) {
        match field? {
            (1, Content::Varint(value)) => (length, name) = (value.cast_signed().max(-1), ""),
            (2, Content::Bytes(given)) => (length, name) = (-1, text(given)?),
            (1 | 2, _) => return Err(InvalidModel::broken()),
            _ => {}
        }
    }
    Ok(Some((length, name)))
}

/// A `StringStringEntryProto`.
pub(super) fn entry<'a>(message: &'a [u8], limits: &mut Limits) -> Result<(&'a str, &'a str), InvalidModel> {
    limits.one()?;
    let (mut key, mut value) = ("", "");
    for field in Fields::of(message) {
        match field? {
            (1, Content::Bytes(bytes)) => key = text(bytes)?,
            (2, Content::Bytes(bytes)) => value = text(bytes)?,
            (1 | 2, _) => return Err(InvalidModel::broken()),
            _ => {}
        }
    }
    Ok((key, value))
}

/// An `OperatorSetIdProto`.
pub(super) fn opset<'a>(message: &'a [u8], limits: &mut Limits) -> Result<(&'a str, i64), InvalidModel> {
    limits.one()?;
    let (mut domain, mut version) = ("", 0);
    for field in Fields::of(message) {
        match field? {
            (1, Content::Bytes(bytes)) => domain = text(bytes)?,
            (2, Content::Varint(value)) => version = value.cast_signed(),
            (1 | 2, _) => return Err(InvalidModel::broken()),
            _ => {}
        }
    }
    Ok((domain, version))
}
