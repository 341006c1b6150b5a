//! Events, effects and tasks as lines of text, with the names of the script.
//!
//! Promises: every field that a decision fills is printed. Leaves the order of lines to the caller.

use lepton_domain::ids::TaskId;
use lepton_domain::ledger::{Command, Effect, Event};
use lepton_domain::task::{AttemptEnd, Content, History, PastAttempt, Payload, Task, TaskError};

use crate::fixture::{Fixture, clock};

pub fn event(fixture: &Fixture, event: &Event) -> String {
    let by = |attempt, worker| format!("{} on {worker}", fixture.attempt_name(attempt));
    match event {
        Event::EpochStarted { leader } => format!("EpochStarted by {leader}"),
        Event::FormatActivated { format } => format!("FormatActivated {format}"),
        Event::Submitted(new) => {
            format!(
                "Submitted {} {} by {}:{}",
                fixture.name(&new.id),
                new.spec.kind,
                new.tenant,
                new.request_id
            )
        }
        Event::Started { attempt, worker } => format!("Started {}", by(attempt, worker)),
        Event::Succeeded {
            attempt,
            worker,
            output,
        } => {
            format!("Succeeded {} with {}", by(attempt, worker), payload(output))
        }
        Event::AttemptFailed {
            attempt,
            worker,
            error: cause,
            retry_at,
            checkpoint: _,
        } => {
            format!(
                "AttemptFailed {} {}, again at {}",
                by(attempt, worker),
                error(cause),
                clock(*retry_at)
            )
        }
        Event::AttemptLost {
            attempt, worker, alone, ..
        } => format!(
            "AttemptLost {}{}",
            by(attempt, worker),
            if *alone { " alone" } else { "" }
        ),
        Event::AttemptReturned { attempt, worker, .. } => format!("AttemptReturned {}", by(attempt, worker)),
        Event::KindPaused { tenant, kind } => format!("KindPaused {tenant} {kind}"),
        Event::KindResumed { tenant, kind } => format!("KindResumed {tenant} {kind}"),
        Event::Failed {
            task,
            attempt,
            error: cause,
        } => {
            let last = attempt
                .map(|attempt| format!(" with {}", fixture.attempt_name(&attempt)))
                .unwrap_or_default();
            format!("Failed {}{last} {}", fixture.name(task), error(cause))
        }
        Event::Cancelled { task, message } => format!("Cancelled {} {message:?}", fixture.name(task)),
        Event::Expired { task } => format!("Expired {}", fixture.name(task)),
        Event::Purged { task } => format!("Purged {}", fixture.name(task)),
    }
}

pub fn effect(fixture: &Fixture, effect: &Effect) -> String {
    match effect {
        Effect::Enqueue(task) => format!("enqueue {}", fixture.name(task)),
        Effect::Dequeue(task) => format!("dequeue {}", fixture.name(task)),
        Effect::Stop { attempt, worker } => format!("stop {} on {worker}", fixture.attempt_name(attempt)),
        Effect::Changed(task) => format!("changed {}", fixture.name(task)),
        Effect::Ended(task) => format!("ended {}", fixture.name(task)),
        Effect::DeleteBlobs(task) => format!("delete blobs of {}", fixture.name(task)),
    }
}

/// The commands that reconciling gives.
pub fn command(fixture: &Fixture, command: &Command) -> String {
    match command {
        Command::Start { attempt, worker } => format!("start {} on {worker}", fixture.attempt_name(attempt)),
        Command::Lose { attempt, worker, .. } => format!("lose {} on {worker}", fixture.attempt_name(attempt)),
        other => panic!("reconciling does not give {other:?}"),
    }
}

pub fn task(fixture: &Fixture, id: TaskId) -> String {
    match fixture.ledger.task(&id) {
        Some(task) => record(fixture, task),
        None => format!("{}: gone", fixture.name(&id)),
    }
}

fn record(fixture: &Fixture, task: &Task) -> String {
    let mut text = format!("{}: {} version {}", fixture.name(&task.id), task.state, task.version);
    let mut add = |label: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!(", {label} {value}"));
        }
    };
    let counted = |count: u32| (count > 0).then(|| count.to_string());
    add("attempts", counted(task.attempts));
    add("failures", counted(task.failures));
    add("losses", counted(task.losses));
    add(
        "attempt",
        task.attempt
            .as_ref()
            .map(|it| format!("{} on {}", it.number, it.worker)),
    );
    add("started", task.started.map(clock));
    add("retry at", task.retry_at.map(clock));
    add("ended", task.ended.map(clock));
    add("output", task.output.as_ref().map(payload));
    add("error", task.error.as_ref().map(error));
    add("history", task.history.as_deref().map(history));
    text
}

fn history(history: &History) -> String {
    let end = |past: &PastAttempt| match &past.end {
        AttemptEnd::Failed(cause) => format!("{} {}", past.attempt.number, cause.reason),
        AttemptEnd::Lost => format!("{} lost on {}", past.attempt.number, past.attempt.worker),
        AttemptEnd::Returned => format!("{} returned by {}", past.attempt.number, past.attempt.worker),
    };
    let ends: Vec<_> = history.attempts.iter().map(end).collect();
    let checkpoint = history.checkpoint.as_ref().map(payload);
    format!(
        "[{}] lost alone {} checkpoint {}",
        ends.join("; "),
        history.lone_losses,
        checkpoint.as_deref().unwrap_or("none")
    )
}

fn payload(payload: &Payload) -> String {
    match &payload.content {
        Content::Inline(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Content::Blob { size, .. } => format!("a blob of {size} bytes"),
    }
}

fn error(error: &TaskError) -> String {
    format!("{} {} {:?}", error.code.name(), error.reason, error.message)
}
