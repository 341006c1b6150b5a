//! Page of one trace as a waterfall: a row for each span, below its parent, with its time as a bar.
//!
//! Promises: spans appear in the order and depth of their tree; one whose parent has not arrived is a root; a trace of
//! any size gives a page of bounded size.

use std::collections::BTreeMap;
use std::time::Duration;

use lepton_domain::reason::ApiError;
use lepton_domain::time::Timestamp;
use lepton_proto::monitor::v1::{Span, SpanKind, Trace};
use maud::{Markup, html};

use super::super::format::{count, precise_duration, truncate, wire_time};
use super::super::{Console, PageContent, chart, layout};
use super::{fetch, outcome};
use crate::view::MeshView;

/// Spans on the page.
const SHOWN_MAX: usize = 500;
/// Deepest indentation.
const DEPTH_MAX: usize = 12;
/// Services with a colour of their own.
const COLOURED: [(&str, &str); 4] = [
    ("gateway", "of-gateway"),
    ("scheduler", "of-scheduler"),
    ("worker", "of-worker"),
    ("monitor", "of-monitor"),
];

/// Page of a trace. Fails with TRACE_NOT_FOUND.
pub(in super::super) async fn page(console: &Console, view: &MeshView, id: &str) -> Result<PageContent, ApiError> {
    let trace = fetch(console, view, id).await?;
    let depths = depths(&trace.spans);
    let body = html! {
        div.title {
            p.path { a href="/traces" { "Traces" } }
            h1 { (truncate(&trace.name, 96)) " " span.state { (outcome(trace.failed)) } }
            code { (trace.trace_id) }
        }
        (facts(&trace, view.at))
        (scale(&trace))
        ol.waterfall aria-label="Spans" {
            @for (span, depth) in trace.spans.iter().zip(&depths).take(SHOWN_MAX) { (row(&trace, span, *depth, view.at)) }
        }
        (missing(&trace))
    };
    Ok(PageContent {
        title: layout::title(view, &format!("Trace {}", truncate(&trace.name, 64))),
        body,
    })
}

fn facts(trace: &Trace, now: Timestamp) -> Markup {
    let mut services: Vec<&str> = trace.spans.iter().map(|span| span.service.as_str()).collect();
    services.sort_unstable();
    services.dedup();
    html! {
        dl.facts.card {
            div { dt { "Started" } dd { (wire_time(trace.start_time.as_ref(), now)) } }
            div { dt { "Duration" } dd { (precise_duration(Duration::from_micros(trace.duration_us))) } }
            div { dt { "Spans" } dd { (count(trace.span_count.into())) } }
            div { dt { "Services" } dd.legend {
                @for service in services.iter().take(SHOWN_MAX) { span class={ "key " (colour(service)) } { (truncate(service, 64)) } }
            } }
        }
    }
}

/// Labels at the quarters of the time axis.
fn scale(trace: &Trace) -> Markup {
    let quarter = |number: u64| precise_duration(Duration::from_micros(trace.duration_us * number / 4));
    html! {
        div.scale aria-hidden="true" {
            span {}
            span.ticks { @for number in 0..=4 { span { (quarter(number)) } } }
            span {}
        }
    }
}

fn row(trace: &Trace, span: &Span, depth: usize, now: Timestamp) -> Markup {
    let whole = trace.duration_us.max(1) as f64;
    let (from, length) = (span.offset_us as f64 / whole, span.duration_us as f64 / whole);
    html! {
        // The name is the row's own, so that what was opened stays open when an earlier span arrives.
        li id={ "span-" (span.span_id) } {
            details {
                summary {
                    span class={ "what d" (depth.min(DEPTH_MAX)) } {
                        span class={ "key " (colour(&span.service)) } { (truncate(&span.service, 32)) } " "
                        span.name { (truncate(&span.name, 96)) }
                        @if span.failed { " " span.badge.bad { "failed" } }
                    }
                    span class={ "when " (colour(&span.service)) } { (chart::stretch(from, length, span.failed)) }
                    span.took { (precise_duration(Duration::from_micros(span.duration_us))) }
                }
                (inside(span, now))
            }
        }
    }
}

fn inside(span: &Span, now: Timestamp) -> Markup {
    html! {
        dl.facts {
            @if !span.message.is_empty() { div.whole { dt { "Message" } dd.bad { (span.message) } } }
            div { dt { "Started" } dd { (wire_time(span.start_time.as_ref(), now)) ", after " (precise_duration(Duration::from_micros(span.offset_us))) } }
            div { dt { "Instance" } dd { code { (span.instance) } } }
            div { dt { "Kind" } dd { (kind(span.kind())) } }
            div { dt { "Span" } dd { code { (span.span_id) } } }
            @for link in &span.links {
                div { dt { "Linked to" } dd { a href={ "/traces/" (link.trace_id) "#span-" (link.span_id) } { code { (link.span_id) } } } }
            }
            @for (key, value) in &span.attributes { div { dt { (key) } dd { (value) } } }
        }
    }
}

fn missing(trace: &Trace) -> Markup {
    let hidden = trace.spans.len().saturating_sub(SHOWN_MAX);
    html! {
        @if hidden > 0 { p.soft { (count(hidden as u64)) " more spans; the API returns them." } }
        @if trace.dropped_span_count > 0 {
            p.soft { (count(trace.dropped_span_count.into())) " spans are beyond the limit of a stored trace." }
        }
    }
}

fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "unspecified",
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    }
}

fn colour(service: &str) -> &'static str {
    let class = COLOURED.iter().find(|(name, _)| *name == service);
    class.map_or("of-other", |(_, class)| class)
}

/// Depth of each span. One pass is enough, as parents come before their children.
fn depths(spans: &[Span]) -> Vec<usize> {
    let mut by_id: BTreeMap<&str, usize> = BTreeMap::new();
    let mut depths = Vec::with_capacity(spans.len());
    for span in spans {
        let depth = by_id.get(span.parent_span_id.as_str()).map_or(0, |above| above + 1);
        by_id.insert(&span.span_id, depth);
        depths.push(depth);
    }
    depths
}

#[cfg(test)]
mod tests {
    use lepton_proto::convert::time::timestamp;
    use lepton_proto::convert::trace::assemble;

    use super::*;

    #[test]
    fn depths_follow_the_tree_and_strangers_stand_at_the_root() {
        let span = |id: &str, parent: &str| Span {
            span_id: id.to_owned(),
            parent_span_id: parent.to_owned(),
            ..Span::default()
        };
        let spans = [
            span("a", ""),
            span("b", "a"),
            span("c", "b"),
            span("d", "a"),
            span("e", "gone"),
        ];
        assert_eq!(depths(&spans), [0, 1, 2, 1, 0]);
    }

    #[test]
    fn spans_of_interleaved_branches_stand_below_their_own_parents() {
        let span = |id: &str, parent: &str, begins_us: u64| Span {
            span_id: id.to_owned(),
            parent_span_id: parent.to_owned(),
            start_time: Some(timestamp(Timestamp::from_micros(begins_us))),
            duration_us: 5,
            ..Span::default()
        };
        let spans = [
            span("root", "", 0),
            span("b", "root", 10),
            span("c", "root", 20),
            span("d", "b", 30),
        ];
        let trace = assemble("0".repeat(32), spans.to_vec(), 0);
        let order: Vec<&str> = trace.spans.iter().map(|span| span.span_id.as_str()).collect();
        assert_eq!(order, ["root", "b", "d", "c"]);
        assert_eq!(depths(&trace.spans), [0, 1, 2, 1]);
        let drawn = row(&trace, &trace.spans[2], 2, Timestamp::default()).0;
        assert!(drawn.starts_with("<li id=\"span-d\"><details>"), "{drawn}");
    }

    #[test]
    fn whatever_a_span_says_is_escaped() {
        let evil = "<script>alert(1)</script>\"'&".to_owned();
        let span = Span {
            name: evil.clone(),
            service: evil.clone(),
            message: evil.clone(),
            attributes: [(evil.clone(), evil.clone())].into(),
            duration_us: u64::MAX,
            offset_us: u64::MAX,
            ..Span::default()
        };
        let trace = Trace {
            name: evil,
            spans: vec![span.clone()],
            ..Trace::default()
        };
        let drawn = row(&trace, &span, 99, Timestamp::default()).0;
        assert!(
            drawn.contains("&lt;script&gt;") && !drawn.contains("<script>"),
            "{drawn}"
        );
        assert!(drawn.contains("class=\"what d12\""));
    }
}
