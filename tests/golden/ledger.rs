//! Commands of a script about the ledger.
//!
//! Promises: prints the events (`+`), the effects (`>`), or the rejection (`!`) of each. Leaves the rules to the
//! domain.

use bytes::Bytes;
use lepton_domain::ids::{ContentDigest, Epoch, InstanceId, Kind, RequestId, TaskId, Tenant};
use lepton_domain::ledger::{Command, Event, Filter, Ledger, Order, Rejection, Search, Submission, apply, decide};
use lepton_domain::reason::Reason;
use lepton_domain::task::{Content, Encoding, Payload, Priority, Spec, Task, TaskError};

use crate::fixture::{Fixture, clock};
use crate::line::Line;
use crate::print;

/// Runs the line if it is about the ledger.
pub fn command(fixture: &mut Fixture, line: &Line<'_>, out: &mut Vec<String>) -> bool {
    match line.word(0) {
        "wait" => {
            fixture.wait(line.duration(line.word(1)));
            fixture.ledger.begin(fixture.ledger.epoch(), fixture.now);
        }
        "epoch" => {
            fixture.ledger.begin(Epoch(line.number(1)), fixture.now);
            run(
                fixture,
                Command::OpenEpoch {
                    leader: InstanceId::new(line.word(2)),
                },
                out,
            );
        }
        "policy" => policy(fixture, line),
        "apply" => raw(fixture, line, out),
        "task" => line.words(1).iter().for_each(|name| {
            let id = fixture.task(name);
            out.push(print::task(fixture, id));
        }),
        "list" => out.push(list(fixture, line)),
        "usage" => out.push(format!("{:?}", fixture.ledger.usage(&Tenant::new(line.word(1))))),
        "timer" => {
            let next = fixture.ledger.next_timer(&fixture.policy);
            out.push(next.map_or("no timer".to_owned(), |at| format!("next timer {}", clock(at))));
        }
        "replay" => out.push(replay(fixture)),
        "restore" => out.push(restore(fixture)),
        _ => return decided(fixture, line, out),
    }
    true
}

/// The commands that the domain decides.
fn decided(fixture: &mut Fixture, line: &Line<'_>, out: &mut Vec<String>) -> bool {
    let of_worker = |fixture: &mut Fixture| (fixture.attempt(line, line.word(1)), InstanceId::new(line.word(2)));
    let command = match line.word(0) {
        "submit" => Command::Submit(Box::new(submission(fixture, line))),
        "start" => {
            let (attempt, worker) = of_worker(fixture);
            Command::Start { attempt, worker }
        }
        "succeed" => {
            let (attempt, worker) = of_worker(fixture);
            Command::Succeed {
                attempt,
                worker,
                output: payload(line, &line.rest(3, "null")),
            }
        }
        "fail" => {
            let (attempt, worker) = of_worker(fixture);
            let error = TaskError::new(Reason::HandlerFailed, line.option("message").unwrap_or("it broke"));
            Command::Fail {
                attempt,
                worker,
                error,
                retryable: !line.has("final"),
                checkpoint: line.option("checkpoint").map(|text| payload(line, text)),
            }
        }
        "lose" => {
            let (attempt, worker) = of_worker(fixture);
            Command::Lose {
                attempt,
                worker,
                alone: line.has("alone"),
                checkpoint: line.option("checkpoint").map(|text| payload(line, text)),
            }
        }
        "return" => {
            let (attempt, worker) = of_worker(fixture);
            Command::Return {
                attempt,
                worker,
                checkpoint: line.option("checkpoint").map(|text| payload(line, text)),
            }
        }
        "purge" => Command::Purge {
            task: fixture.task(line.word(1)),
        },
        "pause" | "resume" => Command::SetPaused {
            tenant: Tenant::new(line.word(1)),
            kind: Kind::new(line.word(2)),
            paused: line.word(0) == "pause",
        },
        "cancel" => Command::Cancel {
            task: fixture.task(line.word(1)),
            message: line.rest(2, ""),
        },
        "tick" => Command::Tick,
        "format" => Command::ActivateFormat { format: line.number(1) },
        _ => return false,
    };
    run(fixture, command, out);
    true
}

fn run(fixture: &mut Fixture, command: Command, out: &mut Vec<String>) {
    match decide(&fixture.ledger, &fixture.policy, command, fixture.now) {
        Ok(events) if events.is_empty() => out.push("nothing to do".to_owned()),
        Ok(events) => events.iter().for_each(|event| perform(fixture, event, out)),
        Err(rejection) => out.push(refusal(fixture, &rejection)),
    }
}

fn perform(fixture: &mut Fixture, event: &Event, out: &mut Vec<String>) {
    match apply(&mut fixture.ledger, event) {
        Ok(effects) => {
            out.push(format!("+ {}", print::event(fixture, event)));
            let effects: Vec<_> = effects.iter().map(|effect| print::effect(fixture, effect)).collect();
            if !effects.is_empty() {
                out.push(format!("  > {}", effects.join(", ")));
            }
            fixture
                .journal
                .push((fixture.ledger.epoch(), fixture.ledger.now(), event.clone()));
        }
        Err(illegal) => out.push(format!("illegal: {}", named(fixture, &illegal.to_string()))),
    }
}

fn refusal(fixture: &Fixture, rejection: &Rejection) -> String {
    let error = rejection.api_error();
    let text = format!("! {} {} {}", error.code().name(), error.reason, error.message);
    named(fixture, &text)
}

/// Ids as the names that the script gave them.
fn named(fixture: &Fixture, text: &str) -> String {
    let ids = (1..=64u128).map(TaskId::from_u128);
    ids.fold(text.to_owned(), |text, id| {
        text.replace(&id.to_string(), &fixture.name(&id))
    })
}

/// Applies an event that nobody decided, as a damaged journal would.
fn raw(fixture: &mut Fixture, line: &Line<'_>, out: &mut Vec<String>) {
    let attempt = fixture.attempt(line, line.word(2));
    let task = attempt.task;
    let worker = InstanceId::new(line.rest(3, "worker-1"));
    let event = match line.word(1) {
        "Started" => Event::Started { attempt, worker },
        "Succeeded" => Event::Succeeded {
            attempt,
            worker,
            output: Payload::json("null"),
        },
        "AttemptLost" => Event::AttemptLost {
            attempt,
            worker,
            alone: false,
            checkpoint: None,
        },
        "AttemptReturned" => Event::AttemptReturned {
            attempt,
            worker,
            checkpoint: None,
        },
        "Cancelled" => Event::Cancelled {
            task,
            message: String::new(),
        },
        "Purged" => Event::Purged { task },
        "Submitted" => Event::Submitted(Box::new(submission(fixture, &Line::parse(&line.rest(1, ""))))),
        other => panic!("no event {other:?}"),
    };
    perform(fixture, &event, out);
}

fn submission(fixture: &mut Fixture, line: &Line<'_>) -> Submission {
    let name = line.word(1);
    let content = line.option("content").unwrap_or("same");
    let mut digest = [0; 32];
    content.bytes().zip(&mut digest).for_each(|(from, to)| *to = from);
    let mut spec = Spec::new(Kind::new(line.option("kind").unwrap_or("echo")), payload(line, "1"));
    if let Some(number) = line.option("priority") {
        spec.priority = Priority::new(line.parsed(number)).expect("scripts use 1 to 5");
    }
    let later = |key| line.option(key).map(|word| fixture.now.plus(line.duration(word)));
    spec.deadline = later("deadline");
    spec.not_before = later("delay");
    if let Some(tries) = line.option("tries") {
        spec.retry.max_attempts = line.parsed(tries);
    }
    spec.requirements = line.pairs("requires");
    spec.run_once = line.has("once");
    Submission {
        id: fixture.task(name),
        tenant: Tenant::new(line.option("tenant").unwrap_or("default")),
        request_id: RequestId::new(line.option("request").unwrap_or(name)),
        content_digest: ContentDigest(digest),
        spec,
        traceparent: None,
        retry_of: None,
    }
}

/// The text as JSON; with `blob=SIZE` a blob, with `bytes=COUNT` that many spaces.
fn payload(line: &Line<'_>, text: &str) -> Payload {
    if let Some(size) = line.option("blob") {
        let content = Content::Blob {
            digest: ContentDigest([0; 32]),
            size: line.parsed(size),
        };
        return Payload {
            encoding: Encoding::Binary,
            content,
        };
    }
    match line.option("bytes") {
        Some(count) => Payload::json(Bytes::from(vec![b' '; line.parsed(count)])),
        None => Payload::json(text.to_owned()),
    }
}

fn policy(fixture: &mut Fixture, line: &Line<'_>) {
    if let Some(word) = line.option("retention") {
        fixture.policy.retention = line.duration(word);
    }
    if let Some(word) = line.option("stored") {
        fixture.policy.limits.stored_tasks_per_tenant = line.parsed(word);
    }
    if let Some(word) = line.option("pending") {
        fixture.policy.limits.pending_tasks_per_tenant = line.parsed(word);
    }
}

fn list(fixture: &Fixture, line: &Line<'_>) -> String {
    let names = |tasks: Vec<TaskId>| tasks.iter().map(|id| fixture.name(id)).collect::<Vec<_>>().join(" ");
    let ledger = &fixture.ledger;
    let ids = match line.word(1) {
        "newest" => {
            let all = Filter::all(Tenant::new("default"));
            let mut search = Search::new(all, Order::NewestFirst, None);
            let found = search.advance(ledger, usize::MAX, usize::MAX);
            found.iter().map(|task| task.id).collect()
        }
        "pending" => ledger.pending().map(|task| task.id).collect(),
        "running" => ledger.running().map(|task| task.id).collect(),
        other => panic!("no list {other:?}"),
    };
    format!("{}: {}", line.word(1), names(ids))
}

fn replay(fixture: &Fixture) -> String {
    let mut fresh = Ledger::new();
    for (epoch, time, event) in &fixture.journal {
        fresh.begin(*epoch, *time);
        apply(&mut fresh, event).expect("it was applied before");
    }
    fresh.begin(fixture.ledger.epoch(), fixture.ledger.now());
    assert_eq!(fresh, fixture.ledger, "a replay gives the same ledger");
    format!("{} events replayed: same ledger", fixture.journal.len())
}

fn restore(fixture: &Fixture) -> String {
    let tasks = fixture.ledger.tasks().map(|task| Task::clone(task));
    let restored = Ledger::restore(fixture.ledger.snapshot_header(), tasks).expect("a fresh snapshot is whole");
    assert_eq!(restored, fixture.ledger, "a snapshot gives the same ledger");
    format!("{} tasks restored: same ledger", restored.len())
}
