//! A trace from its spans.
//!
//! Promises: the same spans give the same trace, in whatever order they came; each span stands below the one that
//! caused it; spans that name each other as parents are shown all the same. Leaves which spans there are to the
//! monitors.

use std::collections::BTreeMap;

use prost_types::Timestamp;

use crate::monitor::v1::{Span, SpanKind, Trace};

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

/// Returns whether a trace failed if such a span did. To a caller every answer but OK is an error, also one that
/// rightly finds the request wrong; the server knows better, and its caller's own answer shows the consequence. At the
/// top of a trace there is no other source.
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
    let Some(time) = &span.start_time else { return 0 };
    let micros = i128::from(time.seconds) * 1_000_000 + i128::from(time.nanos / 1_000);
    u64::try_from(micros.max(0)).unwrap_or(u64::MAX)
}

fn timestamp(micros: u64) -> Timestamp {
    super::time::timestamp(lepton_domain::time::Timestamp::from_micros(micros))
}
