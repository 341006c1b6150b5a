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

#[test]
fn a_list_names_each_trace_once_and_the_newest_first() {
    let traces = vec![
        summary("old", 1, 1, false),
        summary("both", 2, 5, false),
        summary("new", 3, 1, false),
        summary("both", 2, 2, true),
    ];
    let listed = merged(traces.clone(), 10);
    let ids: Vec<_> = listed.iter().map(|trace| trace.trace_id.as_str()).collect();
    assert_eq!(ids, ["new", "both", "old"]);
    assert_eq!((listed[1].span_count, listed[1].failed), (5, true));
    assert_eq!(merged(traces, 1).len(), 1);
}
