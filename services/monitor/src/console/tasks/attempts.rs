//! The attempts of a task, out of its record and its trace.
//!
//! Promises: every attempt that was started has a row, up to a limit, whatever is left of its spans. The journal keeps
//! only the number of attempts and how the last one ended; a worker's span comes when its attempt is over, so that one
//! that was lost with its worker has none, and then the leader's span of its wait names the worker.

use std::collections::BTreeMap;
use std::time::Duration;

use lepton_domain::time::Timestamp;
use lepton_proto::monitor::v1::{Span, SpanKind, Trace};
use lepton_proto::task::v1::{State, Task};
use maud::{Markup, html};

use super::super::figure::{count, cut, lasted, none, read, time};
use super::progress;

#[cfg(test)]
mod tests;

/// Attempts on a page, the last ones.
const SHOWN_MAX: u32 = 100;
/// The attributes of spans of attempts.
const NUMBER: &str = "lepton.attempt";
const WORKER: &str = "lepton.worker";
const TASK: &str = "messaging.message.id";

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Its number, from 1.
    number: u32,
    /// Where it ran, as far as that is known.
    worker: Option<String>,
    outcome: Outcome,
    started: Option<Timestamp>,
    took: Option<Duration>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Running,
    Ended,
    /// It failed, with this message.
    Failed(String),
    /// The task was ended while it ran: cancelled, or expired.
    Stopped(&'static str),
    /// It was given to a worker that said nothing of it afterwards.
    Silent,
    /// Only its number is known.
    Unknown,
}

/// The spans of a task's attempts, by number.
#[derive(Debug, Default)]
struct Spans<'a> {
    /// Of the workers, which ran them.
    ran: BTreeMap<u32, &'a Span>,
    /// Of the leader, which gave them to workers.
    waited: BTreeMap<u32, &'a Span>,
}

impl<'a> Spans<'a> {
    fn of(task: &Task, trace: Option<&'a Trace>) -> Self {
        let mut found = Self::default();
        let spans = || trace.iter().flat_map(|trace| &trace.spans);
        let named = |span: &&Span| span.attributes.contains_key(TASK);
        // Tasks of one batch share a trace; then a span that does not name its task could be of any of them.
        let is_alone = spans().filter(named).all(|span| span.attributes[TASK] == task.id);
        for span in spans() {
            let number = span.attributes.get(NUMBER).and_then(|number| number.parse().ok());
            let is_own = span.attributes.get(TASK).map_or(is_alone, |id| *id == task.id);
            let Some(number) = number.filter(|_| is_own) else {
                continue;
            };
            if span.kind() == SpanKind::Consumer {
                found.ran.insert(number, span);
            } else if span.attributes.contains_key(WORKER) {
                found.waited.insert(number, span);
            }
        }
        found
    }
}

/// The attempts, in their order.
pub(super) fn of(task: &Task, trace: Option<&Trace>) -> Vec<Attempt> {
    let spans = Spans::of(task, trace);
    let first = task.attempts.saturating_sub(SHOWN_MAX) + 1;
    let attempt = |number| match (spans.ran.get(&number), spans.waited.get(&number)) {
        (Some(span), _) => ran(number, span),
        (None, waited) => told(task, number, waited.copied()),
    };
    (first..=task.attempts).map(attempt).collect()
}

/// As its worker has it.
fn ran(number: u32, span: &Span) -> Attempt {
    Attempt {
        number,
        worker: Some(span.instance.clone()),
        outcome: if span.failed {
            Outcome::Failed(span.message.clone())
        } else {
            Outcome::Ended
        },
        started: span.start_time.as_ref().and_then(read),
        took: Some(Duration::from_micros(span.duration_us)),
    }
}

/// As the leader and the task's record have it.
fn told(task: &Task, number: u32, waited: Option<&Span>) -> Attempt {
    let is_last = number == task.attempts;
    let present = Some(&task.worker).filter(|worker| is_last && !worker.is_empty());
    let given = waited.and_then(|span| {
        let begun = span.start_time.as_ref().and_then(read)?;
        let waited = Duration::from_micros(span.duration_us);
        Some(begun.plus(waited))
    });
    let started = given.or_else(|| task.start_time.as_ref().and_then(read).filter(|_| number == 1));
    let ended = task.end_time.as_ref().and_then(read).filter(|_| is_last);
    Attempt {
        number,
        worker: waited.and_then(|span| span.attributes.get(WORKER)).or(present).cloned(),
        outcome: match waited {
            _ if is_last => recorded(task),
            Some(_) => Outcome::Silent,
            None => Outcome::Unknown,
        },
        started,
        took: started.zip(ended).map(|(started, ended)| ended.since(started)),
    }
}

/// How the last attempt went, as the task's record has it.
fn recorded(task: &Task) -> Outcome {
    match (task.state(), &task.error) {
        (State::Running, _) => Outcome::Running,
        (State::Succeeded, _) => Outcome::Ended,
        (State::Cancelled, _) => Outcome::Stopped("cancelled"),
        (State::Expired, _) => Outcome::Stopped("expired"),
        (_, Some(error)) => Outcome::Failed(error.message.clone()),
        (_, None) => Outcome::Silent,
    }
}

/// The section of a task's page.
pub(super) fn section(task: &Task, attempts: &[Attempt], now: Timestamp) -> Markup {
    let hidden = u64::from(task.attempts).saturating_sub(attempts.len() as u64);
    html! {
        section aria-labelledby="attempts" {
            h2 #attempts { "Attempts " span.soft { (count(task.attempts.into())) } }
            @if attempts.is_empty() {
                p.soft { "None has started yet." }
            } @else {
                div.scroll tabindex="0" role="region" aria-labelledby="attempts" {
                    table {
                        thead {
                            tr {
                                th.number scope="col" { "Attempt" }
                                th scope="col" { "Worker" }
                                th scope="col" { "Outcome" }
                                th scope="col" { "Started" }
                                th.number scope="col" { "Took" }
                            }
                        }
                        tbody { @for attempt in attempts { (row(task, attempt, now)) } }
                    }
                }
                @if hidden > 0 { p.soft { "and " (count(hidden)) " before these" } }
            }
        }
    }
}

fn row(task: &Task, attempt: &Attempt, now: Timestamp) -> Markup {
    html! {
        tr id={ "attempt-" (attempt.number) } {
            th.number scope="row" { (attempt.number) }
            td { @if let Some(worker) = &attempt.worker { code { (cut(worker, 64)) } } @else { (none()) } }
            td.wrap { (outcome(task, &attempt.outcome)) }
            td { @if let Some(at) = attempt.started { (time(at, now)) } @else { (none()) } }
            td.number { @if let Some(took) = attempt.took { (lasted(took)) } @else { (none()) } }
        }
    }
}

fn outcome(task: &Task, outcome: &Outcome) -> Markup {
    match outcome {
        Outcome::Running => html! { span.dot.busy {} "running" (progress(task)) },
        Outcome::Ended => html! { span.dot.good {} "ended" },
        Outcome::Failed(message) => html! { span.dot.bad {} "failed " small { (cut(message, 256)) } },
        Outcome::Stopped(word) => html! { span.dot {} (word) },
        Outcome::Silent => html! { span.dot.unsure {} "its worker was lost, or its trace is not kept" },
        Outcome::Unknown => html! { span.dot {} span.soft { "not known: no trace of it is kept" } },
    }
}
