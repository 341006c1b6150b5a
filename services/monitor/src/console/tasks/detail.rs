//! Page of one task: state, input and output, attempts, and the button that cancels it.

use lepton_domain::reason::ApiError;
use lepton_domain::time::Timestamp;
use lepton_proto::task::v1::{State, Task};
use maud::{Markup, html};

use super::super::format::{count, dash, truncate, wire_time};
use super::super::{Console, PageContent, layout};
use super::{attempts, progress, state, took};
use crate::view::MeshView;

/// Labels and progress figures on the page.
const PAIRS_MAX: usize = 64;

/// Page of a task. Fails with the gateway's error for a task that does not exist.
pub(in super::super) async fn page(console: &Console, view: &MeshView, id: &str) -> Result<PageContent, ApiError> {
    let cache = &console.tasks;
    let task = cache.task(console, view, id).await?;
    let (attempts, payloads) = tokio::join!(
        cache.attempts(console, view, &task),
        cache.payloads(console, view, &task)
    );
    let token = console.csrf.token(id);
    let body = html! {
        div.title {
            p.path { a href="/tasks" { "Tasks" } }
            h1 { (truncate(&task.kind, 64)) " " span.state { (state(&task)) } }
            code { (task.id) }
            @if !is_ended(&task) { (button(&task, &token)) }
        }
        @if task.state() == State::Running { (running(&task)) }
        @if let Some(error) = &task.error {
            div.notice { p { (truncate(&error.message, 4_096)) } p.soft { code { (truncate(&error.reason, 64)) } } }
        }
        @if !task.pending_reason.is_empty() {
            div.notice { p { "Waits: " (truncate(&task.pending_reason, 1_024)) } }
        }
        (facts(&task, view.at))
        (attempts::section(&task, &attempts, view.at))
        (section("input", "Input", &payloads.input))
        (section("output", "Output", &payloads.output))
    };
    Ok(PageContent {
        title: layout::title(view, &format!("Task {}", truncate(&task.kind, 64))),
        body,
    })
}

/// Reports whether the task has reached a final state.
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

/// Progress with the figures that the worker reports.
fn running(task: &Task) -> Markup {
    html! {
        @if let Some(progress_report) = &task.progress {
            section.card.progress aria-label="Progress" {
                (progress(task))
                dl.facts {
                    @for (name, figure) in progress_report.figures.iter().take(PAIRS_MAX) {
                        div { dt { (truncate(name, 64)) } dd { (figure) } }
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
            div { dt { "Worker" } dd { @if task.worker.is_empty() { (dash()) } @else { code { (truncate(&task.worker, 64)) } } } }
            div { dt { "Priority" } dd { (task.priority) } }
            div { dt { "Tenant" } dd { (truncate(&task.tenant, 64)) } }
            div.long { dt { "Request" } dd { code { (truncate(&task.request_id, 128)) } } }
            div.long { dt { "Trace" } dd {
                @if task.trace_id.is_empty() { (dash()) } @else { a href={ "/traces/" (task.trace_id) } { code { (task.trace_id) } } }
            } }
            @if let Some(version) = version {
                div { dt { "Version" } dd { "epoch " (version.epoch) ", event " (count(version.seq)) } }
            }
            @for (name, value) in task.labels.iter().take(PAIRS_MAX) {
                div { dt { "Label " code { (truncate(name, 64)) } } dd { (truncate(value, 256)) } }
            }
        }
    }
}

fn section(id: &str, title: &str, content: &Markup) -> Markup {
    html! { section aria-labelledby=(id) { h2 id=(id) { (title) } (content) } }
}
