//! A trace from its spans.
//!
//! Promises: the same spans give the same trace, in whatever order they came; spans that name each other as parents are
//! shown all the same. Leaves which spans there are to the monitors.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use prost_types::Timestamp;

use crate::monitor::v1::{Span, Trace};

#[cfg(test)]
mod tests;

/// Puts a trace together. Spans with the same id count once; a span without times counts as begun in 1970.
pub fn assemble(trace_id: String, spans: Vec<Span>, dropped_span_count: u32) -> Trace {
    let mut by_id: BTreeMap<String, Span> = BTreeMap::new();
    for span in spans {
        by_id.entry(span.span_id.clone()).or_insert(span);
    }
    let mut spans = in_order(by_id.into_values().collect());
    let start = spans.iter().map(start_us).min().unwrap_or(0);
    let end = spans
        .iter()
        .map(|span| start_us(span).saturating_add(span.duration_us))
        .max()
        .unwrap_or(0);
    for span in &mut spans {
        span.offset_us = start_us(span) - start;
    }
    let root = spans
        .iter()
        .find(|span| span.parent_span_id.is_empty())
        .or(spans.first());
    Trace {
        trace_id,
        start_time: Some(timestamp(start)),
        duration_us: end - start,
        name: root.map(|root| root.name.clone()).unwrap_or_default(),
        failed: spans.iter().any(|span| span.failed),
        span_count: u32::try_from(spans.len()).unwrap_or(u32::MAX),
        dropped_span_count,
        spans,
    }
}

/// Parents before their children, and otherwise by their beginning.
fn in_order(spans: Vec<Span>) -> Vec<Span> {
    let places: BTreeMap<&str, usize> = spans
        .iter()
        .enumerate()
        .map(|(at, span)| (&*span.span_id, at))
        .collect();
    let mut children: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut ready = BinaryHeap::new();
    let key = |at: usize| Reverse((start_us(&spans[at]), at));
    for (at, span) in spans.iter().enumerate() {
        match places.get(&*span.parent_span_id) {
            Some(parent) => children.entry(*parent).or_default().push(at),
            None => ready.push(key(at)),
        }
    }
    let mut order = Vec::with_capacity(spans.len());
    while let Some(Reverse((_, at))) = ready.pop() {
        order.push(at);
        ready.extend(children.remove(&at).into_iter().flatten().map(key));
    }
    // What is left hangs below itself.
    let mut circular: Vec<usize> = children.into_values().flatten().collect();
    circular.sort_by_key(|at| start_us(&spans[*at]));
    order.extend(circular);
    let mut spans: Vec<Option<Span>> = spans.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| spans[at].take()).collect()
}

fn start_us(span: &Span) -> u64 {
    let Some(time) = &span.start_time else { return 0 };
    let micros = i128::from(time.seconds) * 1_000_000 + i128::from(time.nanos / 1_000);
    u64::try_from(micros.max(0)).unwrap_or(u64::MAX)
}

fn timestamp(micros: u64) -> Timestamp {
    super::time::timestamp(lepton_domain::time::Timestamp::from_micros(micros))
}
