//! Traces that are kept: recent, slow, failed.

pub(super) mod waterfall;

use std::time::Duration;

use lepton_domain::reason::{Fault, Reason};
use lepton_proto::monitor::v1::{ListTracesRequest, Trace};
use maud::{Markup, html};

use super::figure::{count, cut, lasted, wire_time};
use super::place::Which;
use super::{Console, Page, chart, layout};
use crate::otlp::Filter;
use crate::view::View;

/// Traces on the page.
const SHOWN_MAX: usize = 100;
/// What counts as slow here.
const SLOW: Duration = Duration::from_millis(100);

/// The page.
pub(super) async fn page(console: &Console, view: &View, which: Which) -> Page {
    let (traces, fault) = list(console, view, which).await;
    let body = html! {
        div.title { h1 { "Traces" } }
        div.filters {
            nav.tabs aria-label="Which traces" {
                @for (address, name, of) in [
                    ("/traces", "Recent", Which::Recent),
                    ("/traces?show=slow", "Slow", Which::Slow),
                    ("/traces?show=failed", "Failed", Which::Failed),
                ] {
                    a href=(address) aria-current=[(of == which).then_some("true")] { (name) }
                }
            }
        }
        @if let Some(fault) = fault { (layout::notice(&fault)) }
        (table(&traces, view))
    };
    Page {
        title: layout::title(view, "Traces"),
        body,
    }
}

/// Whether spans go to other monitors as well: to the leader always, and so a trace of the time when another led, or of
/// the moment when the leadership changed, is not here, or only a part of it.
fn is_shared(view: &View) -> bool {
    view.rows.iter().filter(|row| row.service == "monitor").count() > 1
}

/// The traces of all monitors, which a gateway puts together; where none answers, and where there is only this one, those
/// that are kept here.
async fn list(console: &Console, view: &View, which: Which) -> (Vec<Trace>, Option<Fault>) {
    let (failed, duration_us_min) = match which {
        Which::Recent => (false, 0),
        Which::Slow => (false, SLOW.as_micros() as u64),
        Which::Failed => (true, 0),
    };
    let own = || {
        console.traces.list(Filter {
            limit: SHOWN_MAX,
            failed,
            duration_us_min,
        })
    };
    if !is_shared(view) {
        return (own(), None);
    }
    let request = ListTracesRequest {
        page_size: SHOWN_MAX as u32,
        failed,
        duration_us_min,
    };
    match console.gateways.traces(view, request).await {
        Ok(traces) => (traces, None),
        Err(fault) => (own(), Some(fault)),
    }
}

/// A trace with its spans, from all monitors that keep some.
pub(super) async fn find(console: &Console, view: &View, id: &str) -> Result<Trace, Fault> {
    if id.is_empty() {
        return Err(Fault::new(Reason::TraceNotFound, "it has no trace"));
    }
    let own = || console.traces.get(id);
    if !is_shared(view) {
        return own().ok_or_else(|| {
            let message = format!(
                "trace {id} is not kept: it was not sampled, it made room for newer ones, or its spans are on their way, \
                 which takes some seconds"
            );
            Fault::new(Reason::TraceNotFound, message)
        });
    }
    let whole = console.gateways.trace(view, id).await;
    whole.or_else(|fault| own().ok_or(fault))
}

fn table(traces: &[Trace], view: &View) -> Markup {
    let longest = traces.iter().map(|trace| trace.duration_us).max().unwrap_or(0).max(1);
    html! {
        @if traces.is_empty() {
            p.calm { "No trace like this is kept. Instances send theirs within some seconds of a request." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Traces" {
                table {
                    caption.unseen { "Traces, the newest first" }
                    thead {
                        tr {
                            th scope="col" { "What" }
                            th scope="col" { "Outcome" }
                            th scope="col" { "Began" }
                            th.number scope="col" { "Took" }
                            th.length scope="col" { span.unseen { "Beside the longest" } }
                            th.number scope="col" { "Spans" }
                            th scope="col" { "Trace" }
                        }
                    }
                    tbody {
                        @for trace in traces {
                            tr id=(trace.trace_id) {
                                th scope="row" { a href={ "/traces/" (trace.trace_id) } { (cut(&trace.name, 96)) } }
                                td { (outcome(trace.failed)) }
                                td { (wire_time(trace.start_time.as_ref(), view.at)) }
                                td.number { (lasted(Duration::from_micros(trace.duration_us))) }
                                td.length { (chart::stretch(0.0, trace.duration_us as f64 / longest as f64, trace.failed)) }
                                td.number { (count(trace.span_count.into())) }
                                td { code title=(trace.trace_id) { (trace.trace_id.get(..12).unwrap_or_default()) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn outcome(failed: bool) -> Markup {
    let (class, word) = if failed { ("bad", "failed") } else { ("good", "ok") };
    html! { span class={ "dot " (class) } {} (word) }
}
