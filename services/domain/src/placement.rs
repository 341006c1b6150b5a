//! Placement of tasks on nodes, as a small problem in integers.
//!
//! Promises: never above a node's capacity; only on nodes that know the kind and have the labels; what can stay stays,
//! so solving twice moves nothing; new items go where the relative load is lowest. Leaves which tasks are up to the
//! queue.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{InstanceId, Kind, TaskId};

#[cfg(test)]
mod tests;

/// The node of each placed item. Items without a place are absent.
pub type Assignment = BTreeMap<TaskId, InstanceId>;

/// Nodes, and items that want a place on one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problem {
    /// Nodes that can take items.
    pub nodes: Vec<Node>,
    /// Items to place, the most urgent first.
    pub items: Vec<Item>,
}

/// Nodes that can take items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The worker.
    pub id: InstanceId,
    /// Units that it has in all.
    pub capacity: u32,
    /// Units in use by what is not an item of this problem.
    pub used: u32,
    /// Labels that requirements are compared with.
    pub labels: BTreeMap<String, String>,
    /// Kinds that it can run.
    pub kinds: BTreeSet<Kind>,
}

/// An item to place; see [`solve`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The task.
    pub id: TaskId,
    /// Units that it needs.
    pub demand: u32,
    /// Its kind.
    pub kind: Kind,
    /// Labels that its node must have.
    pub requirements: BTreeMap<String, String>,
}

impl Node {
    /// Returns whether the node could run such an item, were it empty enough.
    pub fn suits(&self, kind: &Kind, requirements: &BTreeMap<String, String>) -> bool {
        self.kinds.contains(kind)
            && requirements
                .iter()
                .all(|(key, value)| self.labels.get(key) == Some(value))
    }
}

/// A node with what has been put on it.
struct Load<'a> {
    node: &'a Node,
    units: u64,
}

impl Load<'_> {
    fn takes(&self, item: &Item) -> bool {
        let fits = self.units + u64::from(item.demand) <= u64::from(self.node.capacity);
        fits && self.node.suits(&item.kind, &item.requirements)
    }

    /// Orders nodes by their relative load with the item on them, as a fraction compared without division.
    fn key(&self, item: &Item) -> impl Ord + use<> {
        let after = u128::from(self.units + u64::from(item.demand)) << 32;
        let share = after / u128::from(self.node.capacity.max(1));
        (share, Reverse(self.node.capacity))
    }
}

/// Places items on nodes, leaving those of `previous` where they are if they still fit.
pub fn solve(problem: &Problem, previous: &Assignment) -> Assignment {
    let mut loads: BTreeMap<&InstanceId, Load<'_>> = problem
        .nodes
        .iter()
        .map(|node| {
            (
                &node.id,
                Load {
                    node,
                    units: u64::from(node.used),
                },
            )
        })
        .collect();
    let mut assignment = Assignment::new();
    let mut open = Vec::with_capacity(problem.items.len());
    for item in &problem.items {
        let place = previous
            .get(&item.id)
            .and_then(|id| loads.get_mut(id))
            .filter(|load| load.takes(item));
        match place {
            Some(load) => put(&mut assignment, load, item),
            None => open.push(item),
        }
    }
    for item in open {
        let candidates = loads.values_mut().filter(|load| load.takes(item));
        if let Some(load) = candidates.min_by_key(|load| load.key(item)) {
            put(&mut assignment, load, item);
        }
    }
    assignment
}

fn put(assignment: &mut Assignment, load: &mut Load<'_>, item: &Item) {
    load.units += u64::from(item.demand);
    assignment.insert(item.id, load.node.id.clone());
}
