//! Commands of a script about placement.
//!
//! Promises: prints where each item is, and that solving again moves nothing. Leaves the solving to the domain.

use lepton_domain::ids::{InstanceId, Kind};
use lepton_domain::placement::{Item, Node, solve};

use crate::fixture::Fixture;
use crate::line::Line;

/// Runs the line if it is about placement.
pub fn command(fixture: &mut Fixture, line: &Line<'_>, out: &mut Vec<String>) -> bool {
    match line.word(0) {
        "node" => {
            let node = node(line);
            fixture.problem.nodes.retain(|known| known.id != node.id);
            fixture.problem.nodes.push(node);
        }
        "gone" => fixture.problem.nodes.retain(|node| node.id.as_str() != line.word(1)),
        "item" => line.words(1).iter().for_each(|name| {
            let id = fixture.task(name);
            fixture.problem.items.push(Item {
                id,
                demand: line.option("demand").map_or(1, |word| line.parsed(word)),
                kind: Kind::new(line.option("kind").unwrap_or("echo")),
                requirements: line.pairs("requires"),
            });
        }),
        "solve" => place(fixture, out),
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

fn place(fixture: &mut Fixture, out: &mut Vec<String>) {
    let solution = solve(&fixture.problem, &fixture.assignment);
    assert_eq!(
        solve(&fixture.problem, &solution),
        solution,
        "solving twice moves nothing"
    );
    for item in &fixture.problem.items {
        let (was, is) = (fixture.assignment.get(&item.id), solution.get(&item.id));
        let place = is.map_or("nowhere", InstanceId::as_str);
        let moved = was
            .filter(|was| Some(*was) != is)
            .map(|was| format!(", was on {was}"))
            .unwrap_or_default();
        out.push(format!("{} on {place}{moved}", fixture.name(&item.id)));
    }
    fixture.assignment = solution;
}
