//! Page of stored traces: recent, slow, failed.

pub(super) mod waterfall;

use std::time::Duration;

use lepton_domain::reason::ApiError;
use lepton_proto::monitor::v1::{ListTracesRequest, Trace};
use maud::{Markup, html};

use super::error::ConsoleError;
use super::format::{count, precise_duration, truncate, wire_time};
use super::route::TraceFilter;
use super::{Console, PageContent, chart, layout};
use crate::view::MeshView;

/// Traces on the page.
const SHOWN_MAX: u32 = 100;
/// Least duration of a slow trace.
const SLOW: Duration = Duration::from_millis(100);

/// Page of a list of traces.
pub(super) async fn page(console: &Console, view: &MeshView, filter: TraceFilter) -> PageContent {
    let (traces, error) = list(console, view, filter).await;
    let body = html! {
        div.title { h1 { "Traces" } }
        div.filters {
            nav.tabs aria-label="Filter of traces" {
                @for (address, name, of) in [
                    ("/traces", "Recent", TraceFilter::Recent),
                    ("/traces?show=slow", "Slow", TraceFilter::Slow),
                    ("/traces?show=failed", "Failed", TraceFilter::Failed),
                ] {
                    a href=(address) aria-current=[(of == filter).then_some("true")] { (name) }
                }
            }
        }
        @if let Some(error) = error { (layout::notice(&error)) }
        (table(&traces, view))
    };
    PageContent {
        title: layout::title(view, "Traces"),
        body,
    }
}

/// Reports whether other monitors receive spans too. Spans go to the leading monitor, so a trace from before a change
/// of leadership is elsewhere, and one from during it is split.
fn is_shared(view: &MeshView) -> bool {
    view.rows.iter().filter(|row| row.service == "monitor").count() > 1
}

/// Lists the traces of all monitors by a gateway; those of this monitor where no gateway answers, or where it is the
/// only monitor.
async fn list(console: &Console, view: &MeshView, filter: TraceFilter) -> (Vec<Trace>, Option<ApiError>) {
    let request = ListTracesRequest {
        page_size: SHOWN_MAX,
        failed: filter == TraceFilter::Failed,
        duration_us_min: match filter {
            TraceFilter::Recent | TraceFilter::Failed => 0,
            TraceFilter::Slow => SLOW.as_micros() as u64,
        },
        page_token: String::new(),
    };
    let own = || match console.traces.list(&request) {
        Ok(page) => (page.items, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    if !is_shared(view) {
        return own();
    }
    match console.gateways.traces(view, &request).await {
        Ok(traces) => (traces, None),
        Err(error) => (own().0, Some(error)),
    }
}

/// Fetches a trace with the spans of all monitors that store some.
pub(super) async fn fetch(console: &Console, view: &MeshView, id: &str) -> Result<Trace, ApiError> {
    if id.is_empty() {
        return Err(ConsoleError::NoTrace.into());
    }
    let own = || console.traces.get(id);
    if !is_shared(view) {
        return own().ok_or_else(|| ConsoleError::TraceNotStored(id.to_owned()).into());
    }
    let whole = console.gateways.trace(view, id).await;
    whole.or_else(|error| own().ok_or(error))
}

fn table(traces: &[Trace], view: &MeshView) -> Markup {
    let longest = traces.iter().map(|trace| trace.duration_us).max().unwrap_or(0).max(1);
    html! {
        @if traces.is_empty() {
            p.calm { "No matching trace is stored. Spans arrive within some seconds of a request." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Traces" {
                table {
                    caption.unseen { "Traces, the newest first" }
                    thead {
                        tr {
                            th scope="col" { "Name" }
                            th scope="col" { "Outcome" }
                            th scope="col" { "Started" }
                            th.number scope="col" { "Duration" }
                            th.length scope="col" { span.unseen { "Relative to the longest" } }
                            th.number scope="col" { "Spans" }
                            th scope="col" { "Trace" }
                        }
                    }
                    tbody {
                        @for trace in traces {
                            tr id=(trace.trace_id) {
                                th scope="row" { a href={ "/traces/" (trace.trace_id) } { (truncate(&trace.name, 96)) } }
                                td { (outcome(trace.failed)) }
                                td { (wire_time(trace.start_time.as_ref(), view.at)) }
                                td.number { (precise_duration(Duration::from_micros(trace.duration_us))) }
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
