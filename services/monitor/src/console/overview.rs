//! The first page: what is open, what lives, what was.

use lepton_domain::incident::Incident;
use lepton_domain::time::Timestamp;
use maud::{Markup, html};

use super::figure::{bar, bytes, count, curve, micros, moment, rate, span};
use crate::view::{Load, Row, RowState, View};

/// Closed incidents on the page; the API lists all that are kept.
const CLOSED_MAX: usize = 20;
/// Points of the curve beside an instance: a minute.
const CURVE_POINTS: usize = 60;

/// The page's title, which also shows in its tab.
pub(super) fn title(view: &View) -> String {
    match view.open().count() {
        0 => "Lepton".to_owned(),
        open => format!("({open}) Lepton"),
    }
}

/// Everything that changes.
pub(super) fn body(view: &View) -> Markup {
    html! {
        div #overview data-title=(title(view)) {
            (verdict(view))
            (open(view))
            (totals(view))
            (instances(view))
            (closed(view))
            footer { "As of " (time(view.at)) ". Rates are means over five seconds, curves show the last minute." }
        }
    }
}

/// The mesh in one sentence.
fn verdict(view: &View) -> Markup {
    let open = view.open().count();
    let waiting = view.rows.iter().filter(|row| row.state != RowState::Ready).count();
    let (class, text) = match (view.rows.len(), open, waiting) {
        (0, 0, _) => ("unsure", "No instance has been found yet".to_owned()),
        (_, 0, 0) => ("good", "Everything works".to_owned()),
        (_, 0, 1) => ("unsure", "One instance is not ready".to_owned()),
        (_, 0, _) => ("unsure", format!("{waiting} instances are not ready")),
        (_, 1, _) => ("bad", "One incident is open".to_owned()),
        _ => ("bad", format!("{open} incidents are open")),
    };
    html! { h1.verdict { span class={ "dot " (class) } {} (text) } }
}

fn open(view: &View) -> Markup {
    html! {
        @for incident in view.open() {
            article.incident id=(incident.id) {
                span.badge.bad { "OPEN" }
                div {
                    strong { (incident.summary) }
                    p {
                        code { (incident.subject) } " · " (incident.rule) " · for "
                        (span(view.at.since(incident.opened))) ", since " (time(incident.opened))
                    }
                }
            }
        }
    }
}

/// Sums over services. What passes through several is counted where it enters.
fn totals(view: &View) -> Markup {
    let sum = |service: &str, figure: fn(&Load) -> f64| -> f64 {
        let rows = view.rows.iter().filter(|row| row.service == service);
        rows.filter_map(|row| row.load.as_ref()).map(figure).sum()
    };
    let (used, slots) = (
        sum("worker", |load| load.in_flight.into()),
        sum("worker", |load| load.slots.into()),
    );
    let queued = view
        .rows
        .iter()
        .filter_map(|row| row.load.as_ref())
        .map(|load| u64::from(load.queued))
        .sum();
    html! {
        dl.totals {
            (total("Instances", &count(view.rows.len() as u64), "live"))
            (total("Requests", &rate(sum("gateway", |load| load.rates.finished_per_s)), "per second"))
            (total("Failed requests", &rate(sum("gateway", |load| load.rates.failed_per_s)), "per second"))
            (total("Workers", &count(used as u64), &format!("of {} slots in use", count(slots as u64))))
            (total("Waiting", &count(queued), "requests and tasks"))
        }
    }
}

fn total(name: &str, figure: &str, unit: &str) -> Markup {
    html! { div { dt { (name) } dd { strong { (figure) } " " span { (unit) } } } }
}

fn instances(view: &View) -> Markup {
    html! {
        section aria-labelledby="instances" {
            h2 #instances { "Instances" }
            div.scroll {
                table {
                    thead {
                        tr {
                            th scope="col" { "Instance" }
                            th scope="col" { "State" }
                            th scope="col" { "Role" }
                            th.number scope="col" title="In progress, and how many fit" { "In flight" }
                            th.number scope="col" title="Requests or tasks that wait" { "Queued" }
                            th scope="col" title="Requests or attempts that end, in each second" { "Per second" }
                            th.number scope="col" title="Median of the last second" { "Latency" }
                            th.number scope="col" title="CPU time of the process, 100 % is one core" { "CPU" }
                            th.number scope="col" title="Memory of the process" { "Memory" }
                            th.number scope="col" { "Up" }
                        }
                    }
                    @for group in view.rows.chunk_by(|a, b| a.service == b.service) {
                        (service(view, group))
                    }
                }
            }
        }
    }
}

/// The instances of one service.
fn service(view: &View, rows: &[Row]) -> Markup {
    let name = rows.first().map_or("", |row| row.service.as_str());
    html! {
        tbody {
            tr.service { th colspan="10" scope="rowgroup" { (name) " " span { (rows.len()) } } }
            @for row in rows { (instance(view, row)) }
        }
    }
}

fn instance(view: &View, row: &Row) -> Markup {
    let (class, state) = state(row.state);
    html! {
        tr id=(row.id) {
            th scope="row" {
                code { (row.id) }
                small title={ "version " (row.version) } { (row.address) }
            }
            td { span class={ "dot " (class) } {} (state) }
            td { (role(row)) }
            @if let Some(load) = &row.load {
                (figures(load))
            } @else {
                td.number.none colspan="6" { "not heard yet" }
            }
            td.number title=(moment(row.started)) { (span(view.at.since(row.started))) }
        }
    }
}

fn role(row: &Row) -> Markup {
    html! {
        @if row.leader {
            span.badge.leader { "★ leader" }
        } @else if !row.role.is_empty() {
            span.badge { (row.role) }
        }
        @if row.epoch > 0 {
            small { "epoch " (row.epoch) }
        }
    }
}

/// The cells of an instance's load.
fn figures(load: &Load) -> Markup {
    html! {
        td.number {
            (count(load.in_flight.into()))
            @if load.slots > 0 {
                span.of { " / " (count(load.slots.into())) }
                (bar(f64::from(load.in_flight) / f64::from(load.slots)))
            }
        }
        td.number { (count(load.queued.into())) }
        td.rate {
            span { (rate(load.rates.finished_per_s)) }
            (curve(&load.recent, CURVE_POINTS))
            @if load.rates.failed_per_s >= 0.05 {
                small.bad { (rate(load.rates.failed_per_s)) " failed" }
            }
        }
        td.number { @if load.latency_us > 0 { (micros(load.latency_us)) } @else { span.none { "–" } } }
        td.number { (rate(load.rates.cpu_percent)) " %" }
        td.number { (bytes(load.resident_bytes)) }
    }
}

fn state(state: RowState) -> (&'static str, &'static str) {
    match state {
        RowState::Connecting => ("unsure", "connecting"),
        RowState::Starting => ("unsure", "not ready"),
        RowState::Ready => ("good", "ready"),
        RowState::Draining => ("unsure", "draining"),
        RowState::Silent => ("bad", "not answering"),
    }
}

fn closed(view: &View) -> Markup {
    html! {
        section aria-labelledby="past" {
            h2 #past { "Past incidents" }
            @if view.closed().next().is_none() {
                p.none { "None since this monitor started." }
            } @else {
                div.scroll {
                    table {
                        thead {
                            tr {
                                th scope="col" { "What happened" }
                                th scope="col" { "Rule" }
                                th scope="col" { "From" }
                                th.number scope="col" { "Lasted" }
                            }
                        }
                        tbody { @for incident in view.closed().take(CLOSED_MAX) { (past(incident)) } }
                    }
                }
            }
        }
    }
}

fn past(incident: &Incident) -> Markup {
    let lasted = incident.closed.unwrap_or(incident.opened).since(incident.opened);
    html! {
        tr id=(incident.id) {
            td { span.badge { "CLOSED" } " " (incident.summary) }
            td { (incident.rule) }
            td { (time(incident.opened)) }
            td.number { (span(lasted)) }
        }
    }
}

/// A moment to the second; the whole of it shows on pointing at it.
fn time(at: Timestamp) -> Markup {
    let whole = moment(at);
    let short = whole.get(11..19).unwrap_or(&whole).to_owned();
    html! { time datetime=(whole) title=(whole) { (short) " UTC" } }
}
