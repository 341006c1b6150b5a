//! Placement of tasks on workers, as a small problem in integers.
//!
//! Promises: never above a node's capacity; only on nodes that have the kind and the labels; what can stay stays, so
//! solving twice moves nothing; new items go where the relative load is lowest. Leaves the order of tasks to the
//! [queue](crate::queue).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use self::unplaceable::Abilities;
use crate::ids::{InstanceId, Kind, TaskId};

#[cfg(test)]
mod tests;
pub mod unplaceable;

/// Node of each placed item. Items without a place are absent.
pub type Assignment = BTreeMap<TaskId, InstanceId>;

/// Nodes, and items to place on them: the input of [`solve`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problem {
    /// Nodes that items can be placed on.
    pub nodes: Vec<Node>,
    /// Items to place, the most urgent first.
    pub items: Vec<Item>,
}

/// Node that runs items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Worker.
    pub id: InstanceId,
    /// Units in all.
    pub capacity: u32,
    /// Units in use by anything but the items of this problem.
    pub used: u32,
    /// Labels that requirements are matched with.
    pub labels: BTreeMap<String, String>,
    /// Kinds that it runs.
    pub kinds: BTreeSet<Kind>,
}

/// Item to place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Task.
    pub id: TaskId,
    /// Units that it occupies.
    pub demand: u32,
    /// Kind of task.
    pub kind: Kind,
    /// Labels that its node must have.
    pub requirements: BTreeMap<String, String>,
}

impl Node {
    /// Reports whether the node could run such an item if it had room.
    pub fn suits(&self, kind: &Kind, requirements: &BTreeMap<String, String>) -> bool {
        let Self { kinds, labels, .. } = self;
        Abilities { kinds, labels }.suit(kind, requirements)
    }
}

/// Node with the items placed on it.
struct Load<'a> {
    node: &'a Node,
    units: u64,
}

impl Load<'_> {
    fn takes(&self, item: &Item) -> bool {
        let fits = self.units + u64::from(item.demand) <= u64::from(self.node.capacity);
        fits && self.node.suits(&item.kind, &item.requirements)
    }

    /// Sort key: relative load of the node with the item on it, as a fraction compared without division.
    fn key(&self, item: &Item) -> impl Ord + use<> {
        let after = u128::from(self.units + u64::from(item.demand)) << 32;
        let share = after / u128::from(self.node.capacity.max(1));
        (share, Reverse(self.node.capacity))
    }
}

/// Places items on nodes. Items of `previous` stay on their nodes if they still fit, so solving twice changes nothing.
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
