//! Validation of a graph: every name is made once, before it is used, by a known operator.
//!
//! Promises: takes time and memory in proportion to the file. Leaves the meaning of operators, and the shapes between them, to
//! the backend that runs the model.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::invalid_model::InvalidModel;
use super::read::{Graph, Node};
use crate::names::quoted;

/// The standard operators' domain has two spellings.
const STANDARD: [&str; 2] = ["", "ai.onnx"];
/// The operators of classical machine learning.
const CLASSICAL: &str = "ai.onnx.ml";

/// The operators of a graph and of those within it, as a user would call them.
pub(super) fn operators(graph: &Graph<'_>, opsets: &BTreeMap<String, i64>) -> Result<BTreeSet<String>, InvalidModel> {
    let mut found = BTreeSet::new();
    collect(graph, opsets, &mut found)?;
    Ok(found)
}

fn collect(
    graph: &Graph<'_>,
    opsets: &BTreeMap<String, i64>,
    found: &mut BTreeSet<String>,
) -> Result<(), InvalidModel> {
    for (index, node) in graph.nodes.iter().enumerate() {
        if node.operator.is_empty() || node.outputs.is_empty() {
            return Err(InvalidModel::new(format!("node {index} has no operator or no output")));
        }
        let operator = match node.domain {
            domain if STANDARD.contains(&domain) => node.operator.to_owned(),
            CLASSICAL => format!("{CLASSICAL}.{}", node.operator),
            domain => {
                return Err(InvalidModel::new(format!(
                    "{} uses operator {} of domain {}; only those of ONNX itself are supported",
                    called(node, index),
                    quoted(node.operator),
                    quoted(domain)
                )));
            }
        };
        if !imported(node.domain, opsets) {
            return Err(InvalidModel::new(format!(
                "{} uses operator {}, but the file imports no operator set of domain {}",
                called(node, index),
                quoted(node.operator),
                quoted(node.domain)
            )));
        }
        if !found.contains(&operator) {
            found.insert(operator);
        }
        for inner in &node.graphs {
            collect(inner, opsets, found)?;
        }
    }
    Ok(())
}

fn imported(domain: &str, opsets: &BTreeMap<String, i64>) -> bool {
    if STANDARD.contains(&domain) {
        STANDARD.iter().any(|spelling| opsets.contains_key(*spelling))
    } else {
        opsets.contains_key(domain)
    }
}

fn called(node: &Node<'_>, index: usize) -> String {
    match node.name {
        "" => format!("node {index}"),
        name => format!("node {}", quoted(name)),
    }
}

/// The origin of a name's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// An input of the graph, or a tensor of the file.
    Given,
    /// The node of this index makes it.
    Made(usize),
}

/// The names that a graph sees.
struct Scope<'s, 'a> {
    own: HashMap<&'a str, Origin>,
    around: Option<&'s Scope<'s, 'a>>,
}

impl<'a> Scope<'_, 'a> {
    fn of(graph: &Graph<'a>) -> Result<HashMap<&'a str, Origin>, InvalidModel> {
        let mut own = HashMap::new();
        let mut inputs = HashSet::new();
        for input in &graph.inputs {
            if input.name.is_empty() || !inputs.insert(input.name) {
                return Err(twice("input", input.name));
            }
        }
        for &name in &graph.initializers {
            if name.is_empty() || own.insert(name, Origin::Given).is_some() {
                return Err(twice("initialiser", name));
            }
        }
        // An initialiser of the same name is the input's default.
        own.extend(inputs.into_iter().map(|name| (name, Origin::Given)));
        for (index, node) in graph.nodes.iter().enumerate() {
            for &name in node.outputs.iter().filter(|name| !name.is_empty()) {
                if own.insert(name, Origin::Made(index)).is_some() {
                    return Err(twice("tensor", name));
                }
            }
        }
        Ok(own)
    }

    fn sees(&self, name: &str) -> bool {
        self.own.contains_key(name) || self.around.is_some_and(|around| around.sees(name))
    }
}

fn twice(what: &str, name: &str) -> InvalidModel {
    match name {
        "" => InvalidModel::new(format!("an {what} has no name")),
        name => InvalidModel::new(format!("{what} {} is there twice", quoted(name))),
    }
}

/// Checks the names of a [`Graph`] and of those within it.
pub(super) fn names(graph: &Graph<'_>) -> Result<(), InvalidModel> {
    inside(graph, None).map(|_| ())
}

/// Checks a graph that lies in `around`; gives the names that it takes from there.
fn inside<'a>(graph: &Graph<'a>, around: Option<&Scope<'_, 'a>>) -> Result<HashSet<&'a str>, InvalidModel> {
    let own = Scope::of(graph)?;
    let scope = Scope { own, around };
    let mut captured = HashSet::new();
    let mut needs = Vec::with_capacity(graph.nodes.len());
    for (index, node) in graph.nodes.iter().enumerate() {
        let mut used: HashSet<&str> = node.inputs.iter().copied().filter(|name| !name.is_empty()).collect();
        for inner in &node.graphs {
            used.extend(inside(inner, Some(&scope))?);
        }
        let mut makers = Vec::new();
        for name in used {
            match scope.own.get(name) {
                Some(Origin::Made(maker)) => makers.push((*maker, name)),
                Some(Origin::Given) => {}
                None if scope.sees(name) => {
                    captured.insert(name);
                }
                None => {
                    let user = called(node, index);
                    return Err(InvalidModel::new(format!(
                        "{user} uses {}, which nothing makes",
                        quoted(name)
                    )));
                }
            }
        }
        needs.push(makers);
    }
    check_outputs(graph, &scope, &mut captured)?;
    match on_a_cycle(&needs) {
        Some(name) => Err(InvalidModel::new(format!("tensor {} depends on itself", quoted(name)))),
        None => Ok(captured),
    }
}

fn check_outputs<'a>(
    graph: &Graph<'a>,
    scope: &Scope<'_, 'a>,
    captured: &mut HashSet<&'a str>,
) -> Result<(), InvalidModel> {
    let mut seen = HashSet::new();
    for output in &graph.outputs {
        if output.name.is_empty() || !seen.insert(output.name) {
            return Err(twice("output", output.name));
        }
        if !scope.sees(output.name) {
            return Err(InvalidModel::new(format!(
                "nothing makes output {}",
                quoted(output.name)
            )));
        }
        if !scope.own.contains_key(output.name) {
            captured.insert(output.name);
        }
    }
    Ok(())
}

/// A tensor on a cycle, if there is one. `needs` gives for each node the nodes whose tensors it uses.
fn on_a_cycle<'a>(needs: &[Vec<(usize, &'a str)>]) -> Option<&'a str> {
    let mut users = vec![Vec::new(); needs.len()];
    for (user, makers) in needs.iter().enumerate() {
        for (maker, _) in makers {
            users[*maker].push(user);
        }
    }
    let mut waits: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut free: Vec<usize> = (0..needs.len()).filter(|&node| waits[node] == 0).collect();
    while let Some(node) = free.pop() {
        for &user in &users[node] {
            waits[user] -= 1;
            if waits[user] == 0 {
                free.push(user);
            }
        }
    }
    // Nodes that still wait lie on a cycle or behind one, and each waits for such a node: as many steps back as there are
    // nodes end on the cycle.
    let before = |makers: &Vec<(usize, &'a str)>| makers.iter().find(|(maker, _)| waits[*maker] > 0).copied();
    let before: Vec<Option<(usize, &str)>> = needs.iter().map(before).collect();
    let mut node = waits.iter().position(|&waits| waits > 0)?;
    let mut name = None;
    for _ in needs {
        let (maker, used) = before[node]?;
        (node, name) = (maker, Some(used));
    }
    name
}
