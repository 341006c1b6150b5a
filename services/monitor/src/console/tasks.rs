//! Tasks, page by page, by state and kind.

mod attempts;
pub(super) mod detail;
pub(super) mod known;
mod payload;

use std::time::Duration;

use lepton_domain::reason::{Fault, Reason};
use lepton_domain::time::Timestamp;
use lepton_proto::task::v1::{ListTasksRequest, State, Task, TaskView};
use maud::{Markup, html};

use super::figure::{count, cut, lasted, none, read, wire_time};
use super::place::{STATES, Wanted};
use super::{Console, Page, layout};
use crate::view::View;

/// Tasks on a page.
const PAGE: u32 = 25;
/// Kinds that a reader is offered; any other can be typed.
const KINDS: [&str; 4] = ["analyze", "echo", "evaluate", "train"];

/// The page. Fails only for what is wrong with its address.
pub(super) async fn page(console: &Console, view: &View, wanted: &Wanted) -> Result<Page, Fault> {
    let request = ListTasksRequest {
        page_size: PAGE,
        page_token: wanted.token.clone(),
        state: wanted.state.unwrap_or_default().into(),
        kind: wanted.kind.clone(),
        view: TaskView::Basic.into(),
    };
    let listed = match console.gateways.tasks(view, request).await {
        Err(fault) if fault.reason == Reason::PageTokenInvalid => return Err(fault),
        listed => listed,
    };
    let body = html! {
        div.title { h1 { "Tasks" } }
        (filters(wanted))
        @match &listed {
            Err(fault) => (layout::notice(fault)),
            Ok(listed) => {
                (table(&listed.tasks, view.at))
                (pages(wanted, &listed.next_page_token))
            }
        }
    };
    Ok(Page {
        title: layout::title(view, "Tasks"),
        body,
    })
}

fn filters(wanted: &Wanted) -> Markup {
    let by = |state| Wanted {
        state,
        kind: wanted.kind.clone(),
        token: String::new(),
    };
    let current = |state| (wanted.state == state).then_some("true");
    let word = STATES.iter().find(|(state, _)| Some(*state) == wanted.state);
    html! {
        div.filters {
            nav.tabs aria-label="Tasks by state" {
                a href=(by(None).address()) aria-current=[current(None)] { "All" }
                @for (state, word) in STATES {
                    a href=(by(Some(state)).address()) aria-current=[current(Some(state))] { (word) }
                }
            }
            form.kind action="/tasks" method="get" role="search" {
                @if let Some((_, word)) = word { input type="hidden" name="state" value=(word); }
                label for="kind" { "Kind" }
                input #kind name="kind" list="kinds" value=(wanted.kind) maxlength="64" autocomplete="off" placeholder="all";
                datalist #kinds { @for kind in KINDS { option value=(kind) {} } }
                button type="submit" { "Filter" }
            }
            noscript { a href=(wanted.address()) { "Load anew" } }
        }
    }
}

fn table(tasks: &[Task], now: Timestamp) -> Markup {
    html! {
        @if tasks.is_empty() {
            p.calm { "No task is like this." }
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
            td { (cut(&task.kind, 64)) }
            td { (state(task)) (progress(task)) }
            td { (wire_time(task.create_time.as_ref(), now)) }
            td.number { (took(task, now)) }
            td.number { (count(task.attempts.into())) }
            td { @if task.worker.is_empty() { (none()) } @else { code { (cut(&task.worker, 64)) } } }
        }
    }
}

/// Its id; narrow windows show the end of it, which is the part that differs.
fn id(task: &Task) -> Markup {
    let (head, tail) = task.id.rsplit_once('-').unwrap_or(("", &task.id));
    html! { code { span.front { (head) "-" } (tail) } }
}

/// Where it stands, in a word with a coloured dot, and the reason where it failed.
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
        .find(|(known, _)| *known == state)
        .map_or("unknown", |(_, word)| word);
    html! {
        span class={ "dot " (class) } {} (word)
        @if let Some(error) = &task.error { @if state == State::Failed { " " small.inline { (cut(&error.reason, 64)) } } }
    }
}

/// How far it is, as far as it says.
pub(super) fn progress(task: &Task) -> Markup {
    let told = task.progress.as_ref().filter(|_| task.state() == State::Running);
    html! {
        @if let Some(told) = told {
            @let percent = (told.fraction.clamp(0.0, 1.0) * 100.0).round();
            progress max="100" value=(percent) aria-label="Done" {}
            " " small.inline { (percent) " %" }
        }
    }
}

/// How long it ran, or has run.
pub(super) fn took(task: &Task, now: Timestamp) -> Markup {
    let moment = |at: &Option<prost_types::Timestamp>| at.as_ref().and_then(read);
    let Some(start) = moment(&task.start_time) else {
        return none();
    };
    match moment(&task.end_time) {
        Some(end) => html! { (lasted(end.since(start))) },
        // To the second: a running one is looked at again and again.
        None => html! { (lasted(Duration::from_secs(now.since(start).as_secs()))) },
    }
}

fn pages(wanted: &Wanted, next: &str) -> Markup {
    let at = |token: &str| Wanted {
        token: token.to_owned(),
        ..wanted.clone()
    };
    html! {
        nav.pages aria-label="Pages of tasks" {
            @if !wanted.token.is_empty() { a href=(at("").address()) { "Newest" } }
            @if !next.is_empty() { a href=(at(next).address()) rel="next" { "Older" } }
        }
    }
}
