//! One task: where it stands, what it was given and what it gave, its attempts, and the button that cancels it.

use lepton_domain::reason::Fault;
use lepton_domain::time::Timestamp;
use lepton_proto::task::v1::{State, Task};
use maud::{Markup, html};

use super::super::figure::{count, cut, none, wire_time};
use super::super::{Console, Page, layout};
use super::{attempts, progress, state, took};
use crate::view::View;

/// Labels and figures on the page.
const PAIRS_MAX: usize = 64;

/// The page. Fails with what the gateway says of a task that is not there.
pub(in super::super) async fn page(console: &Console, view: &View, id: &str) -> Result<Page, Fault> {
    let known = &console.known;
    let task = known.task(console, view, id).await?;
    let (tried, payloads) = tokio::join!(
        known.attempts(console, view, &task),
        known.payloads(console, view, &task)
    );
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
        (attempts::section(&task, &tried, view.at))
        (section("input", "Input", &payloads.given))
        (section("output", "Output", &payloads.gave))
    };
    Ok(Page {
        title: layout::title(view, &format!("Task {}", cut(&task.kind, 64))),
        body,
    })
}

/// Whether nothing of it changes any more.
pub(super) fn is_ended(task: &Task) -> bool {
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

fn section(id: &str, title: &str, content: &Markup) -> Markup {
    html! { section aria-labelledby=(id) { h2 id=(id) { (title) } (content) } }
}
