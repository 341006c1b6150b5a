//! Commands of a script about placement.
//!
//! Promises: prints where each item is, and that solving again moves nothing. Leaves the solving to the domain.

use lepton_domain::ids::{InstanceId, Kind};
use lepton_domain::placement::{Item, Node, solve};

use crate::line::Line;
use crate::stage::Stage;

/// Runs the line if it is about placement.
pub fn command(stage: &mut Stage, line: &Line<'_>, out: &mut Vec<String>) -> bool {
    match line.word(0) {
        "node" => {
            let node = node(line);
            stage.problem.nodes.retain(|known| known.id != node.id);
            stage.problem.nodes.push(node);
        }
        "gone" => stage.problem.nodes.retain(|node| node.id.as_str() != line.word(1)),
        "item" => line.words(1).iter().for_each(|name| {
            let id = stage.task(name);
            stage.problem.items.push(Item {
                id,
                demand: line.option("demand").map_or(1, |word| line.parsed(word)),
                kind: Kind::new(line.option("kind").unwrap_or("echo")),
                requirements: line.pairs("requires"),
            });
        }),
        "solve" => place(stage, out),
        _ => return false,
    }
    true
}

fn node(line: &Line<'_>) -> Node {
    Node {
        id: InstanceId::new(line.word(1)),
        capacity: line.number(2),
        used: line.option("used").map_or(0, |word| line.parsed(word)),
        labels: line.pairs("labels"),
        kinds: line
            .option("kinds")
            .unwrap_or("echo")
            .split(',')
            .map(Kind::from)
            .collect(),
    }
}

fn place(stage: &mut Stage, out: &mut Vec<String>) {
    let solution = solve(&stage.problem, &stage.assignment);
    assert_eq!(
        solve(&stage.problem, &solution),
        solution,
        "solving twice moves nothing"
    );
    for item in &stage.problem.items {
        let (was, is) = (stage.assignment.get(&item.id), solution.get(&item.id));
        let place = is.map_or("nowhere", InstanceId::as_str);
        let moved = was
            .filter(|was| Some(*was) != is)
            .map(|was| format!(", was on {was}"))
            .unwrap_or_default();
        out.push(format!("{} on {place}{moved}", stage.name(&item.id)));
    }
    stage.assignment = solution;
}
