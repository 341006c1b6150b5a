//! Attempts of a task, from its record and its trace.
//!
//! Promises: every attempt that started has a row, up to a limit, whatever is left of its spans. The journal stores
//! only the number of attempts and the outcome of the last one. A worker's span arrives at the end of its attempt, so
//! an attempt lost with its worker has none, and then the leader's span of the queue wait names the worker.

use std::collections::BTreeMap;
use std::time::Duration;

use lepton_domain::time::Timestamp;
use lepton_proto::monitor::v1::{Span, SpanKind, Trace};
use lepton_proto::task::v1::{State, Task};
use maud::{Markup, html};

use super::super::format::{count, dash, parse_time, precise_duration, time, truncate};
use super::progress;

#[cfg(test)]
mod tests;

/// Attempts on a page, the last ones.
const SHOWN_MAX: u32 = 100;
/// Span attributes of attempts.
const NUMBER: &str = "lepton.attempt";
const WORKER: &str = "lepton.worker";
const TASK: &str = "messaging.message.id";

/// Attempt of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Number, from 1.
    number: u32,
    /// Worker that ran it; `None` if unknown.
    worker: Option<String>,
    outcome: AttemptOutcome,
    started: Option<Timestamp>,
    took: Option<Duration>,
}

/// Outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
enum AttemptOutcome {
    Running,
    Ended,
    /// Failed with this message.
    Failed(String),
    /// Task ended while the attempt ran: cancelled or expired.
    Stopped(&'static str),
    /// Dispatched to a worker that sent no report.
    Silent,
    /// No record of it beyond its number.
    Unknown,
}

/// Spans of a task's attempts, by number.
#[derive(Debug, Default)]
struct AttemptSpans<'a> {
    /// Spans of the workers, which run attempts.
    ran: BTreeMap<u32, &'a Span>,
    /// Spans of the leader, which dispatches attempts.
    waited: BTreeMap<u32, &'a Span>,
}

impl<'a> AttemptSpans<'a> {
    fn collect(task: &Task, trace: Option<&'a Trace>) -> Self {
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

/// Attempts in their order, from the spans of the trace and otherwise from the task's record.
pub(super) fn collect(task: &Task, trace: Option<&Trace>) -> Vec<Attempt> {
    let spans = AttemptSpans::collect(task, trace);
    let first = task.attempts.saturating_sub(SHOWN_MAX) + 1;
    let attempt = |number| match (spans.ran.get(&number), spans.waited.get(&number)) {
        (Some(span), _) => from_span(number, span),
        (None, waited) => from_record(task, number, waited.copied()),
    };
    (first..=task.attempts).map(attempt).collect()
}

/// Attempt from its worker's span.
fn from_span(number: u32, span: &Span) -> Attempt {
    Attempt {
        number,
        worker: Some(span.instance.clone()),
        outcome: if span.failed {
            AttemptOutcome::Failed(span.message.clone())
        } else {
            AttemptOutcome::Ended
        },
        started: span.start_time.as_ref().and_then(parse_time),
        took: Some(Duration::from_micros(span.duration_us)),
    }
}

/// Attempt from the leader's span and the task's record.
fn from_record(task: &Task, number: u32, waited: Option<&Span>) -> Attempt {
    let is_last = number == task.attempts;
    let present = Some(&task.worker).filter(|worker| is_last && !worker.is_empty());
    let given = waited.and_then(|span| {
        let begun = span.start_time.as_ref().and_then(parse_time)?;
        let waited = Duration::from_micros(span.duration_us);
        Some(begun.plus(waited))
    });
    let started = given.or_else(|| task.start_time.as_ref().and_then(parse_time).filter(|_| number == 1));
    let ended = task.end_time.as_ref().and_then(parse_time).filter(|_| is_last);
    Attempt {
        number,
        worker: waited.and_then(|span| span.attributes.get(WORKER)).or(present).cloned(),
        outcome: match waited {
            _ if is_last => last_outcome(task),
            Some(_) => AttemptOutcome::Silent,
            None => AttemptOutcome::Unknown,
        },
        started,
        took: started.zip(ended).map(|(started, ended)| ended.since(started)),
    }
}

/// Outcome of the last attempt, from the task's record.
fn last_outcome(task: &Task) -> AttemptOutcome {
    match (task.state(), &task.error) {
        (State::Running, _) => AttemptOutcome::Running,
        (State::Succeeded, _) => AttemptOutcome::Ended,
        (State::Cancelled, _) => AttemptOutcome::Stopped("cancelled"),
        (State::Expired, _) => AttemptOutcome::Stopped("expired"),
        (_, Some(error)) => AttemptOutcome::Failed(error.message.clone()),
        (_, None) => AttemptOutcome::Silent,
    }
}

/// Section of a task's page.
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
            td { @if let Some(worker) = &attempt.worker { code { (truncate(worker, 64)) } } @else { (dash()) } }
            td.wrap { (outcome(task, &attempt.outcome)) }
            td { @if let Some(at) = attempt.started { (time(at, now)) } @else { (dash()) } }
            td.number { @if let Some(took) = attempt.took { (precise_duration(took)) } @else { (dash()) } }
        }
    }
}

fn outcome(task: &Task, outcome: &AttemptOutcome) -> Markup {
    match outcome {
        AttemptOutcome::Running => html! { span.dot.busy {} "running" (progress(task)) },
        AttemptOutcome::Ended => html! { span.dot.good {} "ended" },
        AttemptOutcome::Failed(message) => html! { span.dot.bad {} "failed " small { (truncate(message, 256)) } },
        AttemptOutcome::Stopped(word) => html! { span.dot {} (word) },
        AttemptOutcome::Silent => html! { span.dot.unsure {} "its worker was lost, or its trace is not stored" },
        AttemptOutcome::Unknown => html! { span.dot {} span.soft { "unknown: no trace of it is stored" } },
    }
}
