//! Construction of a trace from its spans, and the order of traces in listings.
//!
//! Promises: the same spans give the same trace, in whatever order they arrived; each span stands below its parent;
//! spans that name each other as parents are included. Leaves storing spans to the monitors.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use prost_types::Timestamp;

use crate::monitor::v1::{ListTracesRequest, Span, SpanKind, Trace};
use crate::page::Listing;

#[cfg(test)]
mod tests;

/// Puts a trace together. Spans with the same id count once; one that does not say when it began begins with the trace.
pub fn assemble(trace_id: String, spans: Vec<Span>, dropped_span_count: u32) -> Trace {
    let mut by_id: BTreeMap<String, Span> = BTreeMap::new();
    for span in spans {
        by_id.entry(span.span_id.clone()).or_insert(span);
    }
    let mut spans = in_order(by_id.into_values().collect());
    let start = spans.iter().map(start_us).filter(|start| *start > 0).min().unwrap_or(0);
    for span in &mut spans {
        span.offset_us = start_us(span).saturating_sub(start);
    }
    let ends = spans.iter().map(|span| span.offset_us.saturating_add(span.duration_us));
    let root = spans
        .iter()
        .find(|span| span.parent_span_id.is_empty())
        .or(spans.first());
    Trace {
        trace_id,
        start_time: Some(timestamp(start)),
        duration_us: ends.max().unwrap_or(0),
        name: root.map(|root| root.name.clone()).unwrap_or_default(),
        failed: spans.iter().any(fails),
        span_count: u32::try_from(spans.len()).unwrap_or(u32::MAX),
        dropped_span_count,
        spans,
    }
}

/// Position of a trace in a listing: newest first, and by id where two began in the same microsecond.
pub type TraceKey = Reverse<(u64, u128)>;

/// Returns the position of a trace that began at this time, in microseconds since 1970.
pub fn key_at(start_us: u64, trace_id: u128) -> TraceKey {
    Reverse((start_us, trace_id))
}

/// Returns the position of a trace, the same in every monitor that keeps all of it.
pub fn key(trace: &Trace) -> TraceKey {
    let start_us = trace.start_time.as_ref().map_or(0, micros);
    key_at(start_us, u128::from_str_radix(&trace.trace_id, 16).unwrap_or_default())
}

/// Returns the listing that a request pages through.
pub fn listing(request: &ListTracesRequest) -> Listing {
    Listing::new("ListTraces", &[&request.failed, &request.duration_us_min])
}

/// Reports whether a trace failed if such a span did. A client's span fails with every status but OK, even one that
/// rightly rejects the request; the server's span, and the response of the client's own caller, are better evidence. A
/// root span has neither.
pub fn decides(kind: SpanKind, has_parent: bool) -> bool {
    !has_parent || !matches!(kind, SpanKind::Client | SpanKind::Producer)
}

fn fails(span: &Span) -> bool {
    span.failed && decides(span.kind(), !span.parent_span_id.is_empty())
}

/// Each span below its parent, and those of one parent by their beginning.
fn in_order(spans: Vec<Span>) -> Vec<Span> {
    let places: BTreeMap<&str, usize> = spans
        .iter()
        .enumerate()
        .map(|(at, span)| (&*span.span_id, at))
        .collect();
    let parent = |at: usize| places.get(&*spans[at].parent_span_id).copied();
    let mut by_start: Vec<usize> = (0..spans.len()).collect();
    by_start.sort_by_key(|at| start_us(&spans[*at]));
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
    for at in &by_start {
        if let Some(parent) = parent(*at) {
            children[parent].push(*at);
        }
    }
    let roots = by_start.iter().filter(|at| parent(**at).is_none());
    // What no root leads to hangs below itself, and begins wherever it is entered.
    let entries: Vec<usize> = roots.chain(&by_start).copied().collect();
    let mut order = Vec::with_capacity(spans.len());
    let mut taken = vec![false; spans.len()];
    for entry in entries {
        let mut open = vec![entry];
        while let Some(at) = open.pop() {
            if !std::mem::replace(&mut taken[at], true) {
                order.push(at);
                open.extend(children[at].iter().rev());
            }
        }
    }
    let mut spans: Vec<Option<Span>> = spans.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| spans[at].take()).collect()
}

/// Start of a span, microseconds since 1970; 0 if it has none.
fn start_us(span: &Span) -> u64 {
    span.start_time.as_ref().map_or(0, micros)
}

fn micros(time: &Timestamp) -> u64 {
    let micros = i128::from(time.seconds) * 1_000_000 + i128::from(time.nanos / 1_000);
    u64::try_from(micros.max(0)).unwrap_or(u64::MAX)
}

fn timestamp(micros: u64) -> Timestamp {
    super::time::timestamp(lepton_domain::time::Timestamp::from_micros(micros))
}
