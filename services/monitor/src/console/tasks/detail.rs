//! One task: where it stands, what it was given and what it gave, its attempts, and the button that cancels it.

use std::time::Duration;

use lepton_domain::reason::Fault;
use lepton_domain::time::Timestamp;
use lepton_proto::convert::value::from_value;
use lepton_proto::monitor::v1::{Span, SpanKind, Trace};
use lepton_proto::task::v1::task::{Payload, Result as Outcome};
use lepton_proto::task::v1::{State, Task};
use maud::{Markup, html};

use super::super::figure::{bytes, count, cut, lasted, none, read, wire_time};
use super::super::{Console, Page, layout, traces};
use super::{progress, state, took};
use crate::view::View;

/// As much of an input or an output as a page shows, bytes.
const SHOWN_BYTES_MAX: usize = 16 << 10;
/// A larger one is not laid out, as that costs more than it helps.
const LAID_OUT_BYTES_MAX: usize = 64 << 10;
/// Labels and figures on the page.
const PAIRS_MAX: usize = 64;
/// The attribute of an attempt's span.
const ATTEMPT: &str = "lepton.attempt";

/// The page. Fails with what the gateway says of a task that is not there.
pub(in super::super) async fn page(console: &Console, view: &View, id: &str) -> Result<Page, Fault> {
    let task = console.gateways.task(view, id).await?;
    let trace = traces::find(console, view, &task.trace_id).await.ok();
    let token = console.guard.token(id);
    let body = html! {
        div.title {
            p.path { a href="/tasks" { "Tasks" } }
            h1 { (cut(&task.kind, 64)) " " span.state { (state(&task)) } }
            code { (task.id) }
            @if !is_ended(&task) { (button(&task, &token)) }
        }
        @if task.state() == State::Running { (running(&task)) }
        @if let Some(error) = &task.error {
            div.notice { p { (cut(&error.message, 4_096)) } p.soft { code { (cut(&error.reason, 64)) } } }
        }
        (facts(&task, view.at))
        (attempts(&task, trace.as_ref(), view.at))
        (section("input", "Input", given(&task)))
        (section("output", "Output", gave(&task)))
    };
    Ok(Page {
        title: layout::title(view, &format!("Task {}", cut(&task.kind, 64))),
        body,
    })
}

fn is_ended(task: &Task) -> bool {
    matches!(
        task.state(),
        State::Succeeded | State::Failed | State::Cancelled | State::Expired
    )
}

fn button(task: &Task, token: &str) -> Markup {
    html! {
        form.act action={ "/tasks/" (task.id) "/cancel" } method="post" {
            input type="hidden" name="token" value=(token);
            button.danger type="submit" { "Cancel task" }
        }
    }
}

/// How far it is, with the figures that its worker tells.
fn running(task: &Task) -> Markup {
    html! {
        @if let Some(told) = &task.progress {
            section.card.progress aria-label="Progress" {
                (progress(task))
                dl.facts {
                    @for (name, figure) in told.figures.iter().take(PAIRS_MAX) {
                        div { dt { (cut(name, 64)) } dd { (figure) } }
                    }
                }
            }
        }
    }
}

fn facts(task: &Task, now: Timestamp) -> Markup {
    let version = task.version.as_ref();
    html! {
        dl.facts.card {
            div { dt { "Submitted" } dd { (wire_time(task.create_time.as_ref(), now)) } }
            div { dt { "Started" } dd { (wire_time(task.start_time.as_ref(), now)) } }
            div { dt { "Ended" } dd { (wire_time(task.end_time.as_ref(), now)) } }
            div { dt { "Took" } dd { (took(task, now)) } }
            div { dt { "Attempts" } dd { (count(task.attempts.into())) } }
            div { dt { "Worker" } dd { @if task.worker.is_empty() { (none()) } @else { code { (cut(&task.worker, 64)) } } } }
            div { dt { "Priority" } dd { (task.priority) } }
            div { dt { "Tenant" } dd { (cut(&task.tenant, 64)) } }
            div.long { dt { "Request" } dd { code { (cut(&task.request_id, 128)) } } }
            div.long { dt { "Trace" } dd {
                @if task.trace_id.is_empty() { (none()) } @else { a href={ "/traces/" (task.trace_id) } { code { (task.trace_id) } } }
            } }
            @if let Some(version) = version {
                div { dt { "Version" } dd { "epoch " (version.epoch) ", event " (count(version.seq)) } }
            }
            @for (name, value) in task.labels.iter().take(PAIRS_MAX) {
                div { dt { "Label " code { (cut(name, 64)) } } dd { (cut(value, 256)) } }
            }
        }
    }
}

/// The attempts, as the task's trace has them. The journal itself keeps only their number.
fn attempts(task: &Task, trace: Option<&Trace>, now: Timestamp) -> Markup {
    let own = |span: &&Span| {
        let of_this = span
            .attributes
            .get("messaging.message.id")
            .is_none_or(|id| *id == task.id);
        // The leader's part of an attempt, its wait and its commit, carries the number as well.
        let ran = span.kind() == SpanKind::Consumer;
        of_this && ran && span.attributes.contains_key(ATTEMPT)
    };
    let mut spans: Vec<&Span> = trace.iter().flat_map(|trace| &trace.spans).filter(own).collect();
    spans.sort_by_key(|span| span.offset_us);
    html! {
        section aria-labelledby="attempts" {
            h2 #attempts { "Attempts " span.soft { (count(task.attempts.into())) } }
            @if spans.is_empty() && task.state() != State::Running {
                p.soft {
                    @if task.attempts == 0 { "None has started yet." }
                    @else { "Its trace is not kept here, or has not arrived yet, so only their number is known." }
                }
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
                        tbody {
                            @for span in spans { (attempt(span, now)) }
                            @if task.state() == State::Running { (present(task)) }
                        }
                    }
                }
            }
        }
    }
}

/// The attempt that runs: it is in no trace before its end.
fn present(task: &Task) -> Markup {
    html! {
        tr {
            th.number scope="row" { (task.attempts) }
            td { code { (cut(&task.worker, 64)) } }
            td { span.dot.busy {} "running" (progress(task)) }
            td { (none()) }
            td.number { (none()) }
        }
    }
}

fn attempt(span: &Span, now: Timestamp) -> Markup {
    let number = span.attributes.get(ATTEMPT).map_or("", String::as_str);
    let started = span.start_time.as_ref().and_then(read);
    let (class, word) = if span.failed {
        ("bad", "failed")
    } else {
        ("good", "ended")
    };
    html! {
        tr {
            th.number scope="row" { (cut(number, 16)) }
            td { code { (cut(&span.instance, 64)) } }
            td.wrap { span class={ "dot " (class) } {} (word) @if span.failed { " " small { (cut(&span.message, 256)) } } }
            td { @if let Some(at) = started { (super::super::figure::time(at, now)) } @else { (none()) } }
            td.number { (lasted(Duration::from_micros(span.duration_us))) }
        }
    }
}

fn section(id: &str, title: &str, content: Markup) -> Markup {
    html! { section aria-labelledby=(id) { h2 id=(id) { (title) } (content) } }
}

fn given(task: &Task) -> Markup {
    match &task.payload {
        Some(Payload::Input(value)) => json(value),
        Some(Payload::InputBytes(content)) => binary(content.len()),
        None => html! { p.soft { "None." } },
    }
}

fn gave(task: &Task) -> Markup {
    match &task.result {
        Some(Outcome::Output(value)) => json(value),
        Some(Outcome::OutputBytes(content)) => binary(content.len()),
        None if is_ended(task) => html! { p.soft { "None." } },
        None => html! { p.soft { "None yet." } },
    }
}

fn binary(length: usize) -> Markup {
    html! { p.soft { (bytes(length as u64)) " of binary data." } }
}

/// JSON, laid out where it is small, and cut where it is large.
fn json(value: &prost_types::Value) -> Markup {
    let written = match from_value(value) {
        Ok(written) => written,
        Err(error) => return html! { p.soft { "Cannot be shown: " (error) } },
    };
    let compact = String::from_utf8_lossy(&written).into_owned();
    let laid_out = || {
        let tree: serde_json::Value = serde_json::from_str(&compact).ok()?;
        serde_json::to_string_pretty(&tree).ok()
    };
    let small = compact.len() <= LAID_OUT_BYTES_MAX;
    let text = small.then(laid_out).flatten().unwrap_or_else(|| compact.clone());
    html! {
        pre.json tabindex="0" { (cut(&text, SHOWN_BYTES_MAX)) }
        @if text.len() > SHOWN_BYTES_MAX {
            p.soft { "The beginning of " (bytes(compact.len() as u64)) "; the API gives all of it." }
        }
    }
}
