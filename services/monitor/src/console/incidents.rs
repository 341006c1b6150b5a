//! Page of incidents: open ones, and closed ones page by page.

use lepton_domain::condition::Severity;
use lepton_domain::incident::Incident;
use lepton_domain::time::Timestamp;
use maud::{Markup, html};

use super::format::{count, duration, time};
use super::route::IncidentPage;
use super::{PageContent, layout};
use crate::view::MeshView;

/// Closed incidents on a page.
const PAGE: usize = 50;

/// Page of all incidents.
pub(super) fn page(view: &MeshView, position: &IncidentPage) -> PageContent {
    let open = view.open().count();
    let body = html! {
        div.title {
            h1 { "Incidents" }
            p.soft { (count(open as u64)) " open, " (count(view.closed().count() as u64)) " closed" }
        }
        (self::open(view))
        @if open == 0 { p.calm { span.dot.good {} "No open incidents." } }
        (past(view, position.page))
        footer { "From the memory of this monitor since it started; others may differ by some moments." }
    };
    PageContent {
        title: layout::title(view, "Incidents"),
        body,
    }
}

/// Open incidents.
pub(super) fn open(view: &MeshView) -> Markup {
    html! {
        @for incident in view.open() {
            article.incident id=(incident.id) {
                span.badge.bad { "OPEN" }
                div {
                    strong { (incident.summary) }
                    p {
                        code { (incident.subject) } " · " (incident.rule) " · " (urgency(incident)) " · for "
                        (duration(view.at.since(incident.opened))) ", since " (time(incident.opened, view.at))
                    }
                }
            }
        }
    }
}

fn urgency(incident: &Incident) -> &'static str {
    match incident.severity {
        Severity::Ticket => "ticket",
        Severity::Page => "page",
    }
}

fn past(view: &MeshView, page: usize) -> Markup {
    let closed: Vec<&Incident> = view.closed().collect();
    let shown = closed.iter().skip(page.saturating_mul(PAGE)).take(PAGE);
    html! {
        section aria-labelledby="past" {
            h2 #past { "Past incidents" }
            @if closed.is_empty() {
                p.soft { "None since this monitor started." }
            } @else {
                div.scroll tabindex="0" role="region" aria-labelledby="past" {
                    table {
                        thead {
                            tr {
                                th scope="col" { "Summary" }
                                th scope="col" { "Rule" }
                                th scope="col" { "Subject" }
                                th scope="col" { "Opened" }
                                th scope="col" { "Closed" }
                                th.number scope="col" { "Duration" }
                            }
                        }
                        tbody { @for incident in shown { (row(incident, view.at)) } }
                    }
                }
                (pages(page, closed.len().div_ceil(PAGE)))
            }
        }
    }
}

fn row(incident: &Incident, now: Timestamp) -> Markup {
    let closed = incident.closed.unwrap_or(incident.opened);
    html! {
        tr id=(incident.id) {
            td.wrap { span.badge { "CLOSED" } " " (incident.summary) }
            td { (incident.rule) }
            td { code { (incident.subject) } }
            td { (time(incident.opened, now)) }
            td { (time(closed, now)) }
            td.number { (duration(closed.since(incident.opened))) }
        }
    }
}

fn pages(page: usize, pages: usize) -> Markup {
    html! {
        @if pages > 1 {
            nav.pages aria-label="Pages of past incidents" {
                @if page > 0 { a href={ "/incidents?page=" (page - 1) } rel="prev" { "Newer" } }
                span.soft { "Page " (page + 1) " of " (pages) }
                @if page + 1 < pages { a href={ "/incidents?page=" (page + 1) } rel="next" { "Older" } }
            }
        }
    }
}
