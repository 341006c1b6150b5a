//! Validation of a file as a model that could be served.

use std::collections::{BTreeMap, HashSet};

use super::graph;
use super::invalid_model::InvalidModel;
use super::outline::{self, Outline, Port};
use super::read::{self, Graph, Limits, Once, text};
use super::wire::{Content, Fields};
use crate::names::quoted;

/// A `ModelProto`, as far as it matters here.
#[derive(Debug, Default)]
struct Model<'a> {
    ir_version: i64,
    producer: &'a str,
    graph: Option<Graph<'a>>,
    opsets: BTreeMap<String, i64>,
    metadata: BTreeMap<String, String>,
}

/// Checks the structure of a file and returns its [`Outline`]. It takes time and memory in proportion to the file and runs
/// nothing of it, so a valid file may still be refused by the backend that loads it.
///
/// # Errors
/// [`InvalidModel`], with the error and its position: bytes that are no model, parts that are missing, tensors whose content lies
/// outside or does not fit their dimensions, names that nothing makes or that depend on themselves, operators that are not
/// ONNX's own.
pub fn check(file: &[u8]) -> Result<Outline, InvalidModel> {
    if file.is_empty() {
        return Err(InvalidModel::new("it is empty; send the file as the body"));
    }
    let model = Model::of(file)?;
    if model.ir_version < 1 {
        return Err(InvalidModel::new("it has no ir_version"));
    }
    let Some(graph) = &model.graph else {
        return Err(InvalidModel::new("it has no graph"));
    };
    if !model.opsets.values().any(|&version| version > 0) {
        return Err(InvalidModel::new("it imports no operator set"));
    }
    if graph.nodes.is_empty() {
        return Err(InvalidModel::new("its graph has no nodes"));
    }
    if graph.outputs.is_empty() {
        return Err(InvalidModel::new("its graph has no outputs"));
    }
    let operators = graph::operators(graph, &model.opsets)?;
    graph::names(graph)?;
    let defaults: HashSet<&str> = graph.initializers.iter().copied().collect();
    let given = graph.inputs.iter().filter(|input| !defaults.contains(input.name));
    let inputs: Vec<Port> = given.map(outline::Value::port).collect();
    let outputs = graph.outputs.iter().map(outline::Value::port).collect();
    Ok(Outline {
        ir_version: model.ir_version,
        opsets: model.opsets,
        producer: model.producer.to_owned(),
        inputs,
        outputs,
        operators,
        metadata: model.metadata,
    })
}

impl<'a> Model<'a> {
    fn of(file: &'a [u8]) -> Result<Self, InvalidModel> {
        let mut limits = Limits::default();
        let mut model = Self::default();
        let mut graph = Once::default();
        for field in Fields::of(file) {
            match field? {
                (1, Content::Varint(version)) => model.ir_version = version.cast_signed(),
                (2, Content::Bytes(name)) => model.producer = text(name)?,
                (7, Content::Bytes(message)) => {
                    graph.mark()?;
                    model.graph = Some(read::graph(message, &mut limits)?);
                }
                (8, Content::Bytes(message)) => {
                    let (domain, version) = outline::opset(message, &mut limits)?;
                    model.opsets.insert(domain.to_owned(), version);
                }
                (14, Content::Bytes(message)) => {
                    let (key, value) = outline::entry(message, &mut limits)?;
                    model.metadata.insert(key.to_owned(), value.to_owned());
                }
                (25, Content::Bytes(message)) => return Err(function(message)),
                (1 | 2 | 7 | 8 | 14 | 25, _) => return Err(InvalidModel::broken()),
                _ => {}
            }
        }
        Ok(model)
    }
}

/// A `FunctionProto`: an operator that the model brings along.
fn function(message: &[u8]) -> InvalidModel {
    let names = Fields::of(message)
        .filter_map(Result::ok)
        .filter_map(|field| match field {
            (1, Content::Bytes(name)) => text(name).ok(),
            _ => None,
        });
    let name = quoted(names.last().unwrap_or_default());
    InvalidModel::new(format!(
        "it defines an operator of its own, {name}; inline its functions"
    ))
}
