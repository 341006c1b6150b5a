//! Table of instances, and cells that other pages share.

use maud::{Markup, html};

use super::chart::{bar, history, spark};
use super::format::{bytes, count, dash, duration, micros, moment, rate};
use crate::view::{InstanceLoad, InstanceRow, MeshView, RowState};

/// Table of all instances, by service.
pub(super) fn table(view: &MeshView) -> Markup {
    html! {
        section aria-labelledby="instances" {
            h2 #instances { "Instances" }
            div.scroll tabindex="0" role="region" aria-labelledby="instances" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Instance" }
                            th scope="col" { "State" }
                            th.number scope="col" title="In progress, and how many fit" { "In flight" }
                            th.number scope="col" title="Requests or tasks that wait" { "Queued" }
                            th.number scope="col" title="Requests or attempts that end, in each second" { "Per second" }
                            th.number scope="col" title="Median of the last second, and what 99 of 100 did not exceed" { "Latency" }
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

/// Rows of one service.
fn service(view: &MeshView, rows: &[InstanceRow]) -> Markup {
    let name = rows.first().map_or("", |row| row.service.as_str());
    html! {
        tbody {
            tr.service { th colspan="9" scope="rowgroup" { (name) " " span { (rows.len()) } } }
            @for row in rows { (instance(view, row)) }
        }
    }
}

fn instance(view: &MeshView, row: &InstanceRow) -> Markup {
    html! {
        tr id=(row.id) {
            th scope="row" {
                code { (row.id) }
                (role(row))
                small title={ "version " (row.version) } { (row.address) }
            }
            td { (state(row.state)) }
            @if let Some(load) = &row.load {
                (figures(load))
            } @else {
                td.number.soft colspan="6" { (no_load(row)) }
            }
            td.number title=(moment(row.started)) { (duration(view.at.since(row.started))) }
        }
    }
}

/// Role among its peers.
pub(super) fn role(row: &InstanceRow) -> Markup {
    html! {
        @if row.leader {
            span.badge.leader { "★ leader" }
        } @else if !row.role.is_empty() {
            span.badge { (row.role) }
        }
        @if row.epoch > 0 {
            span.epoch { "epoch " (row.epoch) }
        }
    }
}

/// Cells of the load.
fn figures(load: &InstanceLoad) -> Markup {
    html! {
        td.number { (in_flight(load)) }
        td.number { (count(load.queued.into())) }
        td.number.curve {
            span.value { (rate(load.rates.finished_per_s)) }
            (spark(&history(load, |point| point.rates.finished_per_s), 5.0))
            @if load.rates.failed_per_s >= 0.05 {
                small.bad { (rate(load.rates.failed_per_s)) " failed" }
            }
        }
        td.number { (latency(load)) }
        td.number.curve { (cpu(load)) }
        td.number.curve { (memory(load)) }
    }
}

/// Operations in progress, out of the slots.
pub(super) fn in_flight(load: &InstanceLoad) -> Markup {
    html! {
        (count(load.in_flight.into()))
        @if load.slots > 0 {
            span.soft { " / " (count(load.slots.into())) }
            (bar(f64::from(load.in_flight) / f64::from(load.slots)))
        }
    }
}

/// Median and 99th percentile of the latency.
pub(super) fn latency(load: &InstanceLoad) -> Markup {
    html! {
        @if load.latency_us > 0 {
            (micros(load.latency_us))
            small { "p99 " (micros(load.latency_p99_us)) }
        } @else {
            (dash())
        }
    }
}

/// Text in place of the load of an instance that does not report.
pub(super) fn no_load(row: &InstanceRow) -> &'static str {
    match row.state {
        RowState::Connecting => "no report yet",
        _ => "no report",
    }
}

/// CPU time of the process. The top of the curve is one core, or more where it uses more.
pub(super) fn cpu(load: &InstanceLoad) -> Markup {
    html! {
        span.value { (rate(load.rates.cpu_percent)) " %" }
        (spark(&history(load, |point| point.rates.cpu_percent), 25.0))
    }
}

/// Resident memory of the process.
pub(super) fn memory(load: &InstanceLoad) -> Markup {
    html! {
        span.value { (bytes(load.resident_bytes)) }
        (spark(&history(load, |point| point.resident_bytes as f64), (64 << 20) as f64))
    }
}

/// State as a word with a coloured dot.
pub(super) fn state(state: RowState) -> Markup {
    let (class, text) = words(state);
    html! { span class={ "dot " (class) } {} (text) }
}

/// Colour and word of a state.
pub(super) fn words(state: RowState) -> (&'static str, &'static str) {
    match state {
        RowState::Connecting => ("unsure", "connecting"),
        RowState::Starting => ("unsure", "not ready"),
        RowState::Ready => ("good", "ready"),
        RowState::Draining => ("unsure", "draining"),
        RowState::Silent => ("bad", "not answering"),
    }
}
