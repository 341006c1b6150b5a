//! Commands of a script about the ledger.
//!
//! Promises: prints the events (`+`), the effects (`>`), or the rejection (`!`) of each. Leaves the rules to the
//! domain.

use bytes::Bytes;
use lepton_domain::ids::{ContentDigest, Epoch, InstanceId, Kind, RequestId, TaskId, Tenant};
use lepton_domain::ledger::{Command, Event, Ledger, Rejection, Submission, apply, decide};
use lepton_domain::reason::Reason;
use lepton_domain::task::{Content, Encoding, Payload, Priority, Spec, Task, TaskError};

use crate::line::Line;
use crate::print;
use crate::stage::{Stage, clock};

/// Runs the line if it is about the ledger.
pub fn command(stage: &mut Stage, line: &Line<'_>, out: &mut Vec<String>) -> bool {
    match line.word(0) {
        "wait" => {
            stage.wait(line.duration(line.word(1)));
            stage.ledger.begin(stage.ledger.epoch(), stage.now);
        }
        "epoch" => {
            stage.ledger.begin(Epoch(line.number(1)), stage.now);
            run(
                stage,
                Command::OpenEpoch {
                    leader: InstanceId::new(line.word(2)),
                },
                out,
            );
        }
        "policy" => policy(stage, line),
        "apply" => raw(stage, line, out),
        "task" => line.words(1).iter().for_each(|name| {
            let id = stage.task(name);
            out.push(print::task(stage, id));
        }),
        "list" => out.push(list(stage, line)),
        "usage" => out.push(format!("{:?}", stage.ledger.usage(&Tenant::new(line.word(1))))),
        "timer" => {
            let next = stage.ledger.next_timer(&stage.policy);
            out.push(next.map_or("no timer".to_owned(), |at| format!("next timer {}", clock(at))));
        }
        "replay" => out.push(replay(stage)),
        "restore" => out.push(restore(stage)),
        _ => return decided(stage, line, out),
    }
    true
}

/// The commands that the domain decides.
fn decided(stage: &mut Stage, line: &Line<'_>, out: &mut Vec<String>) -> bool {
    let of_worker = |stage: &mut Stage| (stage.attempt(line, line.word(1)), InstanceId::new(line.word(2)));
    let command = match line.word(0) {
        "submit" => Command::Submit(Box::new(submission(stage, line))),
        "start" => {
            let (attempt, worker) = of_worker(stage);
            Command::Start { attempt, worker }
        }
        "succeed" => {
            let (attempt, worker) = of_worker(stage);
            Command::Succeed {
                attempt,
                worker,
                output: payload(line, &line.rest(3, "null")),
            }
        }
        "fail" => {
            let (attempt, worker) = of_worker(stage);
            let error = TaskError::new(Reason::HandlerFailed, line.option("message").unwrap_or("it broke"));
            Command::Fail {
                attempt,
                worker,
                error,
                retryable: !line.has("final"),
            }
        }
        "lose" => {
            let (attempt, worker) = of_worker(stage);
            Command::Lose { attempt, worker }
        }
        "cancel" => Command::Cancel {
            task: stage.task(line.word(1)),
            message: line.rest(2, ""),
        },
        "tick" => Command::Tick,
        "format" => Command::ActivateFormat { format: line.number(1) },
        _ => return false,
    };
    run(stage, command, out);
    true
}

fn run(stage: &mut Stage, command: Command, out: &mut Vec<String>) {
    match decide(&stage.ledger, &stage.policy, command, stage.now) {
        Ok(events) if events.is_empty() => out.push("nothing to do".to_owned()),
        Ok(events) => events.iter().for_each(|event| perform(stage, event, out)),
        Err(rejection) => out.push(refusal(stage, &rejection)),
    }
}

fn perform(stage: &mut Stage, event: &Event, out: &mut Vec<String>) {
    match apply(&mut stage.ledger, event) {
        Ok(effects) => {
            out.push(format!("+ {}", print::event(stage, event)));
            let effects: Vec<_> = effects.iter().map(|effect| print::effect(stage, effect)).collect();
            if !effects.is_empty() {
                out.push(format!("  > {}", effects.join(", ")));
            }
            stage
                .journal
                .push((stage.ledger.epoch(), stage.ledger.now(), event.clone()));
        }
        Err(illegal) => out.push(format!("illegal: {}", named(stage, &illegal.to_string()))),
    }
}

fn refusal(stage: &Stage, rejection: &Rejection) -> String {
    let fault = rejection.fault();
    let text = format!("! {} {} {}", fault.code().name(), fault.reason, fault.message);
    named(stage, &text)
}

/// Ids as the names that the script gave them.
fn named(stage: &Stage, text: &str) -> String {
    let ids = (1..=64u128).map(TaskId::from_u128);
    ids.fold(text.to_owned(), |text, id| {
        text.replace(&id.to_string(), &stage.name(&id))
    })
}

/// Applies an event that nobody decided, as a damaged journal would.
fn raw(stage: &mut Stage, line: &Line<'_>, out: &mut Vec<String>) {
    let attempt = stage.attempt(line, line.word(2));
    let task = attempt.task;
    let worker = InstanceId::new(line.rest(3, "worker-1"));
    let event = match line.word(1) {
        "Started" => Event::Started { attempt, worker },
        "Succeeded" => Event::Succeeded {
            attempt,
            worker,
            output: Payload::json("null"),
        },
        "AttemptLost" => Event::AttemptLost { attempt, worker },
        "Cancelled" => Event::Cancelled {
            task,
            message: String::new(),
        },
        "Purged" => Event::Purged { task },
        "Submitted" => Event::Submitted(Box::new(submission(stage, &Line::parse(&line.rest(1, ""))))),
        other => panic!("no event {other:?}"),
    };
    perform(stage, &event, out);
}

fn submission(stage: &mut Stage, line: &Line<'_>) -> Submission {
    let name = line.word(1);
    let content = line.option("content").unwrap_or("same");
    let mut digest = [0; 32];
    content.bytes().zip(&mut digest).for_each(|(from, to)| *to = from);
    let mut spec = Spec::new(Kind::new(line.option("kind").unwrap_or("echo")), payload(line, "1"));
    if let Some(number) = line.option("priority") {
        spec.priority = Priority::new(line.parsed(number)).expect("scripts use 1 to 5");
    }
    let later = |key| line.option(key).map(|word| stage.now.plus(line.duration(word)));
    spec.deadline = later("deadline");
    spec.not_before = later("delay");
    if let Some(tries) = line.option("tries") {
        spec.retry.max_attempts = line.parsed(tries);
    }
    spec.requirements = line.pairs("requires");
    spec.run_once = line.has("once");
    Submission {
        id: stage.task(name),
        tenant: Tenant::new(line.option("tenant").unwrap_or("default")),
        request_id: RequestId::new(line.option("request").unwrap_or(name)),
        content_digest: ContentDigest(digest),
        spec,
        traceparent: None,
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

fn policy(stage: &mut Stage, line: &Line<'_>) {
    if let Some(word) = line.option("retention") {
        stage.policy.retention = line.duration(word);
    }
    if let Some(word) = line.option("stored") {
        stage.policy.limits.stored_tasks_per_tenant = line.parsed(word);
    }
    if let Some(word) = line.option("pending") {
        stage.policy.limits.pending_tasks_per_tenant = line.parsed(word);
    }
}

fn list(stage: &Stage, line: &Line<'_>) -> String {
    let names = |tasks: Vec<TaskId>| tasks.iter().map(|id| stage.name(id)).collect::<Vec<_>>().join(" ");
    let ledger = &stage.ledger;
    let ids = match line.word(1) {
        "newest" => ledger.newest(None).map(|task| task.id).collect(),
        "pending" => ledger.pending().map(|task| task.id).collect(),
        "running" => ledger.running().map(|task| task.id).collect(),
        other => panic!("no list {other:?}"),
    };
    format!("{}: {}", line.word(1), names(ids))
}

fn replay(stage: &Stage) -> String {
    let mut fresh = Ledger::new();
    for (epoch, time, event) in &stage.journal {
        fresh.begin(*epoch, *time);
        apply(&mut fresh, event).expect("it was applied before");
    }
    fresh.begin(stage.ledger.epoch(), stage.ledger.now());
    assert_eq!(fresh, stage.ledger, "a replay gives the same ledger");
    format!("{} events replayed: same ledger", stage.journal.len())
}

fn restore(stage: &Stage) -> String {
    let tasks = stage.ledger.tasks().map(|task| Task::clone(task));
    let restored = Ledger::restore(stage.ledger.snapshot_header(), tasks).expect("a fresh snapshot is whole");
    assert_eq!(restored, stage.ledger, "a snapshot gives the same ledger");
    format!("{} tasks restored: same ledger", restored.len())
}
