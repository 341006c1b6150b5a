//! Commands of a script about worker sessions and takeovers.
//!
//! Promises: prints what becomes of each attempt declared. Leaves the decision to the domain.

use std::time::Duration;

use lepton_domain::ids::{AttemptId, InstanceId};
use lepton_domain::session::{Reconciled, Session, overdue, reconcile};

use crate::fixture::Fixture;
use crate::line::Line;
use crate::print;

/// Runs the line if it is about sessions.
pub fn command(fixture: &mut Fixture, line: &Line<'_>, out: &mut Vec<String>) -> bool {
    match line.word(0) {
        "declare" => declare(fixture, line, out),
        "overdue" => {
            let since = line
                .option("takeover")
                .map_or(Duration::MAX, |word| line.duration(word));
            let commands = overdue(&fixture.ledger, &fixture.sessions, fixture.now, since);
            out.extend(commands.iter().map(|command| print::command(fixture, command)));
        }
        "hang-up" => drop(fixture.sessions.remove(&InstanceId::new(line.word(1)))),
        "credits" => {
            let session = &fixture.sessions[&InstanceId::new(line.word(1))];
            out.push(format!("{} credits", session.credits()));
        }
        _ => return false,
    }
    true
}

/// A worker opens a session and says what it runs. Attempts that it is told to stop are taken off the session, as the
/// scheduler does.
fn declare(fixture: &mut Fixture, line: &Line<'_>, out: &mut Vec<String>) {
    let worker = InstanceId::new(line.word(1));
    let declared: Vec<AttemptId> = line.words(2).iter().map(|word| fixture.attempt(line, word)).collect();
    let slots = line.option("slots").map_or(4, |word| line.parsed(word));
    let mut session = Session::new(worker.clone(), slots, fixture.now);
    session.declare(declared.iter().copied());
    for outcome in reconcile(&fixture.ledger, &declared, &worker) {
        out.push(match outcome {
            Reconciled::Adopt(attempt) => format!("adopt {}", fixture.attempt_name(&attempt)),
            Reconciled::Start(command) => print::command(fixture, &command),
            Reconciled::Stop(attempt) => {
                session.finish(&attempt);
                format!("stop {}", fixture.attempt_name(&attempt))
            }
        });
    }
    fixture.sessions.insert(worker, session);
}
