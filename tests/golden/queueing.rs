//! Commands of a script about the queue.
//!
//! Promises: prints which ticket is taken. Leaves fairness to the domain.

use lepton_domain::ids::{Kind, Seq, Tenant};
use lepton_domain::queue::Ticket;
use lepton_domain::task::Priority;

use crate::fixture::{Fixture, clock};
use crate::line::Line;

/// Runs the line if it is about the queue.
pub fn command(fixture: &mut Fixture, line: &Line<'_>, out: &mut Vec<String>) -> bool {
    match line.word(0) {
        "push" => line.words(1).iter().for_each(|name| {
            let ticket = ticket(fixture, line, name);
            fixture.queue.push(ticket);
        }),
        "drop" => {
            let task = fixture.task(line.word(1));
            out.push(if fixture.queue.remove(&task).is_some() {
                "dropped".to_owned()
            } else {
                "not there".to_owned()
            });
        }
        "weight" => fixture.queue.set_weight(&Tenant::new(line.word(1)), line.number(2)),
        "take" => out.push(take(fixture, line)),
        "due" => out.push(fixture.queue.next_due().map_or("nothing waits".to_owned(), clock)),
        _ => return false,
    }
    true
}

fn ticket(fixture: &mut Fixture, line: &Line<'_>, name: &str) -> Ticket {
    let task = fixture.task(name);
    let not_before = line.option("delay").map(|word| fixture.now.plus(line.duration(word)));
    Ticket {
        task,
        tenant: Tenant::new(line.option("tenant").unwrap_or("default")),
        kind: Kind::new(line.option("kind").unwrap_or("echo")),
        priority: Priority::new(line.option("priority").map_or(3, |word| line.parsed(word))).expect("1 to 5"),
        since: not_before.unwrap_or(fixture.now),
        not_before,
        requirements: line.pairs("requires"),
        order: Seq(u64::try_from(task.as_u128()).expect("a script has few tasks")),
    }
}

/// Takes up to so many tickets of a kind that is one of `kinds`.
fn take(fixture: &mut Fixture, line: &Line<'_>) -> String {
    let kinds: Option<Vec<_>> = line.option("kinds").map(|list| list.split(',').collect());
    let mut fits = |ticket: &Ticket| kinds.as_ref().is_none_or(|kinds| kinds.contains(&ticket.kind.as_str()));
    let taken: Vec<_> = (0..line.number::<usize>(1))
        .map_while(|_| fixture.queue.take(fixture.now, &mut fits))
        .collect();
    let names: Vec<_> = taken.iter().map(|ticket| fixture.name(&ticket.task)).collect();
    format!("taken: {}; {} left", names.join(" "), fixture.queue.len())
}
