//! Page of tasks, searched by state, kind, label, reason and worker.

mod attempts;
pub(super) mod detail;
mod payload;
pub(super) mod task_cache;

use std::time::Duration;

use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::time::Timestamp;
use lepton_proto::task::v1::{CountTasksRequest, CountTasksResponse, ListTasksRequest, State, Task, TaskView};
use maud::{Markup, html};

use super::format::{count, dash, parse_time, precise_duration, truncate, wire_time};
use super::route::{STATES, TaskFilter};
use super::{Console, PageContent, layout};
use crate::view::MeshView;

/// Tasks on a page.
const PAGE: u32 = 25;
/// Kinds that the filter suggests; any other can be typed.
const KINDS: [&str; 4] = ["analyze", "echo", "evaluate", "train"];

/// Page of a list of tasks. Fails only for a wrong page token.
pub(super) async fn page(console: &Console, view: &MeshView, filter: &TaskFilter) -> Result<PageContent, ApiError> {
    let labels = || -> Vec<String> {
        (!filter.label.is_empty())
            .then(|| filter.label.clone())
            .into_iter()
            .collect()
    };
    let list = ListTasksRequest {
        page_size: PAGE,
        page_token: filter.token.clone(),
        state: filter.state.unwrap_or_default().into(),
        kind: filter.kind.clone(),
        label: labels(),
        reason: filter.reason.clone(),
        worker: filter.worker.clone(),
        view: TaskView::Basic.into(),
        ..ListTasksRequest::default()
    };
    let count = CountTasksRequest {
        kind: filter.kind.clone(),
        label: labels(),
        reason: filter.reason.clone(),
        worker: filter.worker.clone(),
        ..CountTasksRequest::default()
    };
    let gateways = &console.gateways;
    let (listed, counted) = tokio::join!(gateways.tasks(view, list), gateways.count(view, count));
    let listed = match listed {
        Err(error) if error.reason == Reason::PageTokenInvalid => return Err(error),
        listed => listed,
    };
    let body = html! {
        div.title { h1 { "Tasks" } }
        (filters(filter, counted.ok().as_ref()))
        @match &listed {
            Err(error) => (layout::notice(error)),
            Ok(listed) => {
                (table(&listed.tasks, view.at))
                (pager(filter, &listed.next_page_token))
            }
        }
    };
    Ok(PageContent {
        title: layout::title(view, "Tasks"),
        body,
    })
}

/// Tabs by state, each with the number of tasks that the other filters leave, and the form of those.
fn filters(filter: &TaskFilter, counts: Option<&CountTasksResponse>) -> Markup {
    let by = |state| TaskFilter {
        state,
        token: String::new(),
        ..filter.clone()
    };
    let current = |state| (filter.state == state).then_some("true");
    let word = STATES.iter().find(|(state, _)| Some(*state) == filter.state);
    let number =
        |state: State| counts.map(|counts| counts.counts.get(state.as_str_name()).copied().unwrap_or_default());
    let all = counts.map(|counts| counts.counts.values().map(|number| u64::from(*number)).sum::<u64>());
    let fields = [
        ("label", "Label", &filter.label, "320", "team=red"),
        ("reason", "Reason", &filter.reason, "64", "HANDLER_FAILED"),
        ("worker", "Worker", &filter.worker, "128", "any"),
    ];
    html! {
        div.filters {
            nav.tabs aria-label="Tasks by state" {
                a href=(by(None).address()) aria-current=[current(None)] {
                    "All" @if let Some(all) = all { " " small.inline { (count(all)) } }
                }
                @for (state, word) in STATES {
                    a href=(by(Some(state)).address()) aria-current=[current(Some(state))] {
                        (word) @if let Some(number) = number(state) { " " small.inline { (count(number.into())) } }
                    }
                }
            }
            form.kind action="/tasks" method="get" role="search" {
                @if let Some((_, word)) = word { input type="hidden" name="state" value=(word); }
                label for="kind" { "Kind" }
                input #kind name="kind" list="kinds" value=(filter.kind) maxlength="64" autocomplete="off" placeholder="all";
                datalist #kinds { @for kind in KINDS { option value=(kind) {} } }
                @for (name, title, value, longest, example) in fields {
                    label for=(name) { (title) }
                    input id=(name) name=(name) value=(value) maxlength=(longest) autocomplete="off" placeholder=(example);
                }
                button type="submit" { "Filter" }
            }
            noscript { a href=(filter.address()) { "Reload" } }
        }
    }
}

fn table(tasks: &[Task], now: Timestamp) -> Markup {
    html! {
        @if tasks.is_empty() {
            p.calm { "No matching task." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Tasks" {
                table #tasks {
                    caption.unseen { "Tasks, the newest first" }
                    thead {
                        tr {
                            th scope="col" { "Task" }
                            th scope="col" { "Kind" }
                            th scope="col" { "State" }
                            th scope="col" { "Submitted" }
                            th.number scope="col" title="From the first start to the end" { "Took" }
                            th.number scope="col" { "Attempts" }
                            th scope="col" { "Worker" }
                        }
                    }
                    tbody { @for task in tasks { (row(task, now)) } }
                }
            }
        }
    }
}

fn row(task: &Task, now: Timestamp) -> Markup {
    html! {
        tr id=(task.id) {
            th scope="row" { a href={ "/tasks/" (task.id) } { (id(task)) } }
            td { (truncate(&task.kind, 64)) }
            td { (state(task)) (progress(task)) }
            td { (wire_time(task.create_time.as_ref(), now)) }
            td.number { (took(task, now)) }
            td.number { (count(task.attempts.into())) }
            td { @if task.worker.is_empty() { (dash()) } @else { code { (truncate(&task.worker, 64)) } } }
        }
    }
}

/// Task id. Narrow windows show its end only, which is the part that differs.
fn id(task: &Task) -> Markup {
    let (head, tail) = task.id.rsplit_once('-').unwrap_or(("", &task.id));
    html! { code { span.front { (head) "-" } (tail) } }
}

/// State as a word with a coloured dot, with the reason of a failure.
pub(super) fn state(task: &Task) -> Markup {
    let state = task.state();
    let class = match state {
        State::Succeeded => "good",
        State::Failed | State::Expired => "bad",
        State::Running => "busy",
        State::Pending | State::Blocked => "unsure",
        State::Cancelled | State::Unspecified => "",
    };
    let word = STATES
        .iter()
        .find(|(other, _)| *other == state)
        .map_or("unknown", |(_, word)| word);
    html! {
        span class={ "dot " (class) } {} (word)
        @if let Some(error) = &task.error { @if state == State::Failed { " " small.inline { (truncate(&error.reason, 64)) } } }
    }
}

/// Progress bar of a running task that reports its progress.
pub(super) fn progress(task: &Task) -> Markup {
    let progress = task.progress.as_ref().filter(|_| task.state() == State::Running);
    html! {
        @if let Some(progress) = progress {
            @let percent = (progress.fraction.clamp(0.0, 1.0) * 100.0).round();
            progress max="100" value=(percent) aria-label="Done" {}
            " " small.inline { (percent) " %" }
        }
    }
}

/// Run time from the first start to the end, or until `now`.
pub(super) fn took(task: &Task, now: Timestamp) -> Markup {
    let moment = |at: &Option<prost_types::Timestamp>| at.as_ref().and_then(parse_time);
    let Some(start) = moment(&task.start_time) else {
        return dash();
    };
    match moment(&task.end_time) {
        Some(end) => html! { (precise_duration(end.since(start))) },
        // To the second: a running one is looked at again and again.
        None => html! { (precise_duration(Duration::from_secs(now.since(start).as_secs()))) },
    }
}

fn pager(filter: &TaskFilter, next: &str) -> Markup {
    let at = |token: &str| TaskFilter {
        token: token.to_owned(),
        ..filter.clone()
    };
    html! {
        nav.pages aria-label="Pages of tasks" {
            @if !filter.token.is_empty() { a href=(at("").address()) { "Newest" } }
            @if !next.is_empty() { a href=(at(next).address()) rel="next" { "Older" } }
        }
    }
}
