//! A model's graph out of its bytes, as names that borrow from them.
//!
//! Promises: memory is bounded by [`Limits`], whatever the file; weights are not copied. Every tensor's claim is checked
//! on the way, wherever it stands. Leaves the meaning of the names to [`graph`](super::graph).

use super::invalid_model::InvalidModel;
use super::outline::Value;
use super::wire::{Content, Fields};
use super::{outline, tensor};

/// Nodes, values, names and dimensions in one file. The largest models of all have some tens of thousands.
const ELEMENTS_MAX: usize = 500_000;
/// Graphs within graphs, as the branches of an `If`.
const DEPTH_MAX: usize = 16;

/// The rest of what a file may use.
#[derive(Debug)]
pub(super) struct Limits {
    elements_left: usize,
    depth_left: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            elements_left: ELEMENTS_MAX,
            depth_left: DEPTH_MAX,
        }
    }
}

impl Limits {
    /// Counts one thing that takes memory.
    pub(super) fn one(&mut self) -> Result<(), InvalidModel> {
        let left = self.elements_left.checked_sub(1);
        let full = || InvalidModel::new(format!("it has more than {ELEMENTS_MAX} nodes, names and dimensions"));
        self.elements_left = left.ok_or_else(full)?;
        Ok(())
    }
}

/// A message that stands once. Protobuf would merge a second one into it, and the whole would be unchecked.
#[derive(Debug, Default)]
pub(super) struct Once(bool);

impl Once {
    pub(super) fn mark(&mut self) -> Result<(), InvalidModel> {
        if std::mem::replace(&mut self.0, true) {
            return Err(InvalidModel::new(
                "a part of it that stands once in a model stands there twice",
            ));
        }
        Ok(())
    }
}

/// A graph, by names.
#[derive(Debug, Default)]
pub(super) struct Graph<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) inputs: Vec<Value<'a>>,
    pub(super) outputs: Vec<Value<'a>>,
    /// The names of the tensors that come with the file.
    pub(super) initializers: Vec<&'a str>,
}

/// One operation.
#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    pub(super) name: &'a str,
    pub(super) operator: &'a str,
    pub(super) domain: &'a str,
    /// Graphs in its attributes: branches and bodies.
    pub(super) graphs: Vec<Graph<'a>>,
}

/// A `GraphProto`.
pub(super) fn graph<'a>(message: &'a [u8], limits: &mut Limits) -> Result<Graph<'a>, InvalidModel> {
    let deep = || InvalidModel::new(format!("its graphs lie more than {DEPTH_MAX} deep in each other"));
    limits.depth_left = limits.depth_left.checked_sub(1).ok_or_else(deep)?;
    let mut graph = Graph::default();
    for field in Fields::of(message) {
        match field? {
            (1, Content::Bytes(message)) => graph.nodes.push(node(message, limits)?),
            (5, Content::Bytes(message)) => {
                limits.one()?;
                graph
                    .initializers
                    .push(tensor::check(message, "without a name", limits)?);
            }
            (11, Content::Bytes(message)) => graph.inputs.push(outline::value(message, limits)?),
            (12, Content::Bytes(message)) => graph.outputs.push(outline::value(message, limits)?),
            (15, _) => return Err(sparse()),
            (1 | 5 | 11 | 12, _) => return Err(InvalidModel::broken()),
            _ => {}
        }
    }
    limits.depth_left += 1;
    Ok(graph)
}

fn node<'a>(message: &'a [u8], limits: &mut Limits) -> Result<Node<'a>, InvalidModel> {
    limits.one()?;
    let mut node = Node::default();
    for field in Fields::of(message) {
        match field? {
            (1, Content::Bytes(name)) => push(&mut node.inputs, name, limits)?,
            (2, Content::Bytes(name)) => push(&mut node.outputs, name, limits)?,
            (3, Content::Bytes(name)) => node.name = text(name)?,
            (4, Content::Bytes(name)) => node.operator = text(name)?,
            (5, Content::Bytes(message)) => attribute(message, &mut node.graphs, limits)?,
            (7, Content::Bytes(name)) => node.domain = text(name)?,
            (1..=5 | 7, _) => return Err(InvalidModel::broken()),
            _ => {}
        }
    }
    Ok(node)
}

/// An `AttributeProto`, of which only graphs and tensors matter here.
fn attribute<'a>(message: &'a [u8], graphs: &mut Vec<Graph<'a>>, limits: &mut Limits) -> Result<(), InvalidModel> {
    limits.one()?;
    let (mut tensor, mut body) = (Once::default(), Once::default());
    for field in Fields::of(message) {
        match field? {
            (number @ (5 | 10), Content::Bytes(message)) => {
                if number == 5 {
                    tensor.mark()?;
                }
                tensor::check(message, "in an attribute", limits)?;
            }
            (number @ (6 | 11), Content::Bytes(message)) => {
                if number == 6 {
                    body.mark()?;
                }
                graphs.push(graph(message, limits)?);
            }
            (22 | 23, _) => return Err(sparse()),
            (5 | 6 | 10 | 11, _) => return Err(InvalidModel::broken()),
            _ => {}
        }
    }
    Ok(())
}

fn sparse() -> InvalidModel {
    InvalidModel::new("it has a sparse tensor, which is not supported; store it dense")
}

fn push<'a>(names: &mut Vec<&'a str>, name: &'a [u8], limits: &mut Limits) -> Result<(), InvalidModel> {
    limits.one()?;
    names.push(text(name)?);
    Ok(())
}

/// A text, which protobuf wants in UTF-8.
pub(super) fn text(bytes: &[u8]) -> Result<&str, InvalidModel> {
    std::str::from_utf8(bytes).map_err(|_| InvalidModel::broken())
}

/// Adds the integers that a field holds, packed or alone.
pub(super) fn integers(content: Content<'_>, into: &mut Vec<i64>, limits: &mut Limits) -> Result<(), InvalidModel> {
    let mut push = |value: u64| {
        limits.one()?;
        into.push(value.cast_signed());
        Ok::<(), InvalidModel>(())
    };
    match content {
        Content::Varint(value) => push(value),
        Content::Bytes(mut packed) => {
            while !packed.is_empty() {
                push(super::wire::varint(&mut packed)?)?;
            }
            Ok(())
        }
        _ => Err(InvalidModel::broken()),
    }
}
