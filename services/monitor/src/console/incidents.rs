//! Incidents: those that last, and those that are over, page by page.

use lepton_domain::incident::Incident;
use lepton_domain::time::Timestamp;
use maud::{Markup, html};

use super::figure::{count, span, time};
use super::place::Past;
use super::{Page, layout};
use crate::view::View;

/// Closed incidents on a page.
const PAGE: usize = 50;

/// The page.
pub(super) fn page(view: &View, wanted: &Past) -> Page {
    let open = view.open().count();
    let body = html! {
        div.title {
            h1 { "Incidents" }
            p.soft { (count(open as u64)) " open, " (count(view.closed().count() as u64)) " over" }
        }
        (self::open(view))
        @if open == 0 { p.calm { span.dot.good {} "Nothing is wrong now." } }
        (past(view, wanted.page))
        footer { "As this monitor has seen it since it started; another may have seen a change some moments earlier or later." }
    };
    Page {
        title: layout::title(view, "Incidents"),
        body,
    }
}

/// Those that last.
pub(super) fn open(view: &View) -> Markup {
    html! {
        @for incident in view.open() {
            article.incident id=(incident.id) {
                span.badge.bad { "OPEN" }
                div {
                    strong { (incident.summary) }
                    p {
                        code { (incident.subject) } " · " (incident.rule) " · for "
                        (span(view.at.since(incident.opened))) ", since " (time(incident.opened, view.at))
                    }
                }
            }
        }
    }
}

fn past(view: &View, page: usize) -> Markup {
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
                                th scope="col" { "What happened" }
                                th scope="col" { "Rule" }
                                th scope="col" { "Subject" }
                                th scope="col" { "From" }
                                th scope="col" { "To" }
                                th.number scope="col" { "Lasted" }
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
            td.number { (span(closed.since(incident.opened))) }
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
