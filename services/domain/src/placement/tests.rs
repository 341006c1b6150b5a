//! Stated properties: capacity holds, what is placed suits, solving twice moves nothing, nothing that fits is left out.

use proptest::prelude::*;

use super::*;

fn node(name: &str, capacity: u32, used: u32) -> Node {
    let kinds = [Kind::new("echo")].into();
    Node {
        id: InstanceId::new(name),
        capacity,
        used,
        labels: BTreeMap::new(),
        kinds,
    }
}

fn item(number: u128, demand: u32) -> Item {
    Item {
        id: TaskId::from_u128(number),
        demand,
        kind: Kind::new("echo"),
        requirements: BTreeMap::new(),
    }
}

fn placed(assignment: &Assignment) -> Vec<(u128, &str)> {
    assignment
        .iter()
        .map(|(task, node)| (task.as_u128(), node.as_str()))
        .collect()
}

#[test]
fn the_least_loaded_node_goes_first() {
    let problem = Problem {
        nodes: vec![node("a", 4, 2), node("b", 8, 2), node("c", 1, 1)],
        items: (1..=4).map(|number| item(number, 1)).collect(),
    };
    let assignment = solve(&problem, &Assignment::new());
    assert_eq!(placed(&assignment), [(1, "b"), (2, "b"), (3, "b"), (4, "b")]);
}

#[test]
fn requirements_and_kinds_bind() {
    let mut gpu = node("gpu", 1, 0);
    gpu.labels.insert("gpu".to_owned(), "yes".to_owned());
    let mut needs = item(1, 1);
    needs.requirements.insert("gpu".to_owned(), "yes".to_owned());
    let other = Item {
        kind: Kind::new("train"),
        ..item(2, 1)
    };
    let problem = Problem {
        nodes: vec![node("plain", 9, 0), gpu],
        items: vec![needs.clone(), other],
    };
    assert_eq!(placed(&solve(&problem, &Assignment::new())), [(1, "gpu")]);
    // Where it was is no longer suitable: it moves.
    let previous = Assignment::from([(TaskId::from_u128(1), InstanceId::new("plain"))]);
    assert_eq!(placed(&solve(&problem, &previous)), [(1, "gpu")]);
}

#[test]
fn a_thousand_items_on_a_hundred_nodes_spread_evenly() {
    let problem = Problem {
        nodes: (0..100).map(|n| node(&format!("n{n:03}"), 16, 0)).collect(),
        items: (0..1_000).map(|number| item(number, 1)).collect(),
    };
    let assignment = solve(&problem, &Assignment::new());
    let mut counts = BTreeMap::new();
    assignment
        .values()
        .for_each(|node| *counts.entry(node).or_insert(0) += 1);
    assert!(
        counts.len() == 100 && counts.values().all(|count| *count == 10),
        "{counts:?}"
    );
}

fn problems() -> impl Strategy<Value = Problem> {
    let kinds = prop::collection::btree_set((0u8..3).prop_map(|kind| Kind::new(format!("k{kind}"))), 0..3);
    let labels = || prop::collection::btree_map("[ab]", "[xy]", 0..2);
    let nodes = prop::collection::vec((0u32..12, 0u32..14, labels(), kinds), 0..6);
    let items = prop::collection::vec((0u32..5, 0u8..3, labels()), 0..30);
    (nodes, items).prop_map(|(nodes, items)| Problem {
        nodes: nodes
            .into_iter()
            .enumerate()
            .map(|(number, (capacity, used, labels, kinds))| Node {
                id: InstanceId::new(format!("n{number}")),
                capacity,
                used,
                labels,
                kinds,
            })
            .collect(),
        items: items
            .into_iter()
            .enumerate()
            .map(|(number, (demand, kind, requirements))| Item {
                id: TaskId::from_u128(number as u128),
                demand,
                kind: Kind::new(format!("k{kind}")),
                requirements,
            })
            .collect(),
    })
}

fn units(problem: &Problem, assignment: &Assignment, node: &Node) -> u32 {
    let on = |item: &&Item| assignment.get(&item.id) == Some(&node.id);
    node.used + problem.items.iter().filter(on).map(|item| item.demand).sum::<u32>()
}

proptest! {
    #[test]
    fn solutions_are_valid_stable_and_leave_no_room_unused(
        problem in problems(),
        previous in prop::collection::btree_map(0u128..30, 0u8..8, 0..30),
    ) {
        let previous = previous
            .into_iter()
            .map(|(task, node)| (TaskId::from_u128(task), InstanceId::new(format!("n{node}"))))
            .collect();
        let solution = solve(&problem, &previous);
        prop_assert_eq!(&solve(&problem, &solution), &solution, "solving twice moves nothing");
        for node in &problem.nodes {
            let load = units(&problem, &solution, node);
            prop_assert!(load <= node.capacity || load == node.used, "{} holds {load}", node.id);
        }
        for item in &problem.items {
            let suits = |node: &&Node| node.suits(&item.kind, &item.requirements);
            match solution.get(&item.id) {
                Some(id) => prop_assert!(problem.nodes.iter().filter(suits).any(|node| node.id == *id)),
                None => {
                    let room = |node: &Node| units(&problem, &solution, node) + item.demand <= node.capacity;
                    prop_assert!(!problem.nodes.iter().filter(suits).any(room), "{} was left out", item.id);
                }
            }
        }
        let known = problem.items.iter().map(|item| item.id).collect::<BTreeSet<_>>();
        prop_assert!(solution.keys().all(|task| known.contains(task)));
    }
}
