//! What several monitors keep becomes one.

use lepton_domain::time::Timestamp;
use lepton_proto::convert::time::timestamp;
use lepton_proto::monitor::v1::Span;

use super::*;

fn span(id: &str, parent: &str, start_us: u64) -> Span {
    Span {
        span_id: id.to_owned(),
        parent_span_id: parent.to_owned(),
        name: id.to_owned(),
        start_time: Some(timestamp(Timestamp::from_micros(start_us))),
        duration_us: 10,
        ..Span::default()
    }
}

fn summary(id: &str, start_us: u64, span_count: u32, failed: bool) -> Trace {
    Trace {
        trace_id: id.to_owned(),
        start_time: Some(timestamp(Timestamp::from_micros(start_us))),
        span_count,
        failed,
        ..Trace::default()
    }
}

#[test]
fn the_parts_of_a_trace_become_one() {
    let part = |spans, dropped| assemble("t".to_owned(), spans, dropped);
    let before = part(vec![span("root", "", 100), span("a", "root", 110)], 1);
    let after = Trace {
        failed: true,
        ..part(vec![span("b", "a", 200), span("a", "root", 110)], 2)
    };
    let trace = whole("t", vec![after, before]);
    let ids: Vec<_> = trace.spans.iter().map(|span| span.span_id.as_str()).collect();
    assert_eq!((ids, &*trace.name), (vec!["root", "a", "b"], "root"));
    assert_eq!((trace.span_count, trace.dropped_span_count, trace.failed), (3, 3, true));
    assert_eq!((trace.duration_us, trace.spans[2].offset_us), (110, 100));
}

fn page(size: u32, token: &str) -> PageRequest<TraceKey> {
    PageRequest::new(trace::listing(&ListTracesRequest::default()), size, token).expect("a page")
}

/// The page that a monitor which keeps `traces` gives.
fn list(page: &PageRequest<TraceKey>, mut traces: Vec<Trace>) -> ListTracesResponse {
    traces.sort_by_key(trace::key);
    let page = page.cut(traces, trace::key);
    ListTracesResponse {
        traces: page.items,
        next_page_token: page.next_page_token,
    }
}

fn ids(traces: &[Trace]) -> Vec<&str> {
    traces.iter().map(|trace| trace.trace_id.as_str()).collect()
}

#[test]
fn a_list_names_each_trace_once_and_the_newest_first() {
    let traces = vec![
        summary("01", 1, 1, false),
        summary("02", 2, 5, false),
        summary("03", 3, 1, false),
        summary("02", 2, 2, true),
    ];
    let all = page(10, "");
    let listed = merged(&all, vec![list(&all, traces.clone())]);
    assert_eq!(ids(&listed.items), ["03", "02", "01"]);
    assert_eq!((listed.items[1].span_count, listed.items[1].failed), (5, true));
    assert_eq!(listed.next_page_token, "");
    let one = page(1, "");
    assert_eq!(merged(&one, vec![list(&one, traces)]).items.len(), 1);
}

#[test]
fn pages_of_several_monitors_make_up_the_whole() {
    let number = |number: u64| summary(&format!("{number:02x}"), number, 1, false);
    // Two in three with each, so that some are with both; and two that began at the same time.
    let kept = |by: u64| (1..20).filter(move |at| at % 3 != by).map(number);
    let (first, second): (Vec<_>, Vec<_>) = (kept(1).collect(), kept(2).chain([summary("ff", 7, 1, false)]).collect());
    for size in [1, 2, 3, 1_000] {
        let (mut found, mut token) = (Vec::new(), String::new());
        loop {
            let page = page(size, &token);
            let merged = merged(&page, vec![list(&page, first.clone()), list(&page, second.clone())]);
            found.extend(merged.items.into_iter().map(|trace| trace.trace_id));
            token = merged.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        let mut whole: Vec<String> = (1..20).rev().map(|at| format!("{at:02x}")).collect();
        whole.insert(12, "ff".to_owned());
        assert_eq!(found, whole, "{size}");
    }
}

#[test]
fn a_trace_whose_spans_went_to_two_monitors_neither_repeats_nor_hides_others() {
    let first = [
        summary("0a", 300, 1, false),
        summary("0b", 200, 1, false),
        summary("0c", 180, 1, false),
    ];
    // Most of `0b` is here, and its beginning.
    let second = [summary("0b", 100, 5, false), summary("0d", 90, 1, false)];
    for size in [1, 2, 3, 1_000] {
        let (mut found, mut token) = (Vec::new(), String::new());
        loop {
            let page = page(size, &token);
            let merged = merged(&page, vec![list(&page, first.to_vec()), list(&page, second.to_vec())]);
            found.extend(merged.items.into_iter().map(|trace| trace.trace_id));
            token = merged.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(found, ["0a", "0c", "0b", "0d"], "{size}");
    }
}
