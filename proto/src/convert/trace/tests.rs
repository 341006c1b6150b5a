//! Order, extent and name of a trace.

use super::*;

fn span(id: &str, parent: &str, start_us: u64, duration_us: u64) -> Span {
    Span {
        span_id: id.to_owned(),
        parent_span_id: parent.to_owned(),
        name: format!("does {id}"),
        start_time: Some(timestamp(start_us)),
        duration_us,
        ..Span::default()
    }
}

fn ids(trace: &Trace) -> Vec<&str> {
    trace.spans.iter().map(|span| span.span_id.as_str()).collect()
}

#[test]
fn parents_come_first_whatever_the_clocks_say() {
    // The child's clock runs behind its parent's.
    let spans = vec![
        span("late", "root", 500, 100),
        span("child", "root", 90, 20),
        span("root", "", 100, 50),
        span("grandchild", "child", 95, 1),
    ];
    let trace = assemble("t".into(), spans, 3);
    assert_eq!(ids(&trace), ["root", "child", "grandchild", "late"]);
    assert_eq!((trace.duration_us, &*trace.name), (510, "does root"));
    assert_eq!(trace.start_time, Some(timestamp(90)));
    assert_eq!(
        trace.spans.iter().map(|span| span.offset_us).collect::<Vec<_>>(),
        [10, 0, 5, 410]
    );
    assert_eq!(
        (trace.span_count, trace.dropped_span_count, trace.failed),
        (4, 3, false)
    );
}

#[test]
fn a_span_counts_once_and_one_failure_fails_all() {
    let failed = Span {
        failed: true,
        ..span("a", "", 1, 1)
    };
    let trace = assemble("t".into(), vec![failed, span("a", "", 1, 1), span("b", "a", 2, 1)], 0);
    assert_eq!((trace.span_count, trace.failed), (2, true));
}

#[test]
fn each_span_stands_below_the_one_that_caused_it() {
    // Both children of the root begin before the grandchildren.
    let spans = vec![
        span("second", "root", 20, 50),
        span("below first", "first", 30, 5),
        span("root", "", 0, 100),
        span("below second", "second", 40, 5),
        span("first", "root", 10, 50),
    ];
    let trace = assemble("t".into(), spans, 0);
    assert_eq!(ids(&trace), ["root", "first", "below first", "second", "below second"]);
}

#[test]
fn what_only_a_caller_calls_a_failure_is_none() {
    let failed = |kind: SpanKind, parent| Span {
        failed: true,
        kind: kind.into(),
        ..span("b", parent, 2, 1)
    };
    let of = |span: Span| assemble("t".into(), vec![self::span("a", "", 1, 1), span], 0).failed;
    assert!(!of(failed(SpanKind::Client, "a")));
    assert!(of(failed(SpanKind::Client, "")));
    assert!(of(failed(SpanKind::Server, "a")));
}

#[test]
fn a_span_without_times_begins_with_its_trace() {
    let timeless = Span {
        start_time: None,
        ..span("b", "a", 0, 0)
    };
    let begun = 1_700_000_000_000_000;
    let trace = assemble("t".into(), vec![timeless, span("a", "", begun, 40)], 0);
    assert_eq!((trace.start_time, trace.duration_us), (Some(timestamp(begun)), 40));
    assert!(trace.spans.iter().all(|span| span.offset_us == 0));
}

#[test]
fn without_a_root_the_first_names_it() {
    let trace = assemble(
        "t".into(),
        vec![span("b", "a", 5, 1), span("a", "of a caller", 4, 1)],
        0,
    );
    assert_eq!((&*trace.name, ids(&trace)), ("does a", vec!["a", "b"]));
}

#[test]
fn circles_and_nothing_are_shown_too() {
    let circle = vec![span("a", "b", 2, 1), span("b", "a", 1, 1), span("self", "self", 3, 1)];
    assert_eq!(ids(&assemble("t".into(), circle, 0)), ["b", "a", "self"]);
    let times = Timestamp {
        seconds: i64::MIN,
        nanos: -5,
    };
    let odd = Span {
        start_time: Some(times),
        duration_us: u64::MAX,
        ..span("a", "", 0, 0)
    };
    assert_eq!(assemble("t".into(), vec![odd], 0).duration_us, u64::MAX);
    assert_eq!(assemble("t".into(), Vec::new(), 0).span_count, 0);
}
