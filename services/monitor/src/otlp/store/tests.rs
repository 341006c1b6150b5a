//! Each rule of what stays.

use lepton_proto::monitor::v1::SpanKind;

use super::*;
use crate::otlp::span::StoredSpan;

const QUIET: Duration = Duration::from_secs(3);

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A keep without a sample, so that only the other rules decide.
fn store(bytes_max: usize) -> TraceStore {
    TraceStore::new(config::Traces {
        bytes_max,
        spans_max: 10,
        quiet: QUIET,
        sample: 0.0,
        ..config::Traces::default()
    })
}

fn span(trace: u128, id: u64, parent: u64, took_ms: u64) -> ReceivedSpan {
    let span = StoredSpan {
        id,
        parent,
        name: "asks".to_owned(),
        start_us: 1_000_000 * trace as u64,
        end_us: 1_000_000 * trace as u64 + 1_000 * took_ms,
        ..StoredSpan::default()
    };
    ReceivedSpan { trace, span }
}

fn failed(trace: u128) -> ReceivedSpan {
    let mut received = span(trace, 1, 0, 1);
    received.span.failed = true;
    received
}

fn all() -> ListTracesRequest {
    ListTracesRequest::default()
}

/// The page of a request.
fn list(store: &TraceStore, request: &ListTracesRequest) -> Page<Trace> {
    let page = PageRequest::new(trace::listing(request), request.page_size, &request.page_token);
    store.list(request, &page.expect("a page"))
}

fn ids(page: &Page<Trace>) -> Vec<u128> {
    let id = |trace: &Trace| u128::from_str_radix(&trace.trace_id, 16).unwrap();
    page.items.iter().map(id).collect()
}

fn kept(store: &TraceStore) -> Vec<u128> {
    store.traces.keys().copied().collect()
}

fn class(store: &TraceStore, id: u128) -> Retention {
    store.traces[&id].retention
}

/// As many bytes as this many traces of one span take.
fn room_for(traces: usize) -> usize {
    let mut one = store(usize::MAX);
    one.add(vec![span(1, 1, 0, 1)], s(0));
    one.size().1 * traces
}

#[test]
fn a_trace_is_judged_when_it_has_been_quiet() {
    let mut store = store(usize::MAX);
    store.add(vec![span(1, 1, 0, 1)], s(0));
    store.add(vec![span(1, 2, 1, 1)], s(2));
    store.judge_quiet(s(4));
    assert_eq!(
        class(&store, 1),
        Retention::Pending,
        "the second span began the wait anew"
    );
    store.judge_quiet(s(5));
    assert_eq!(class(&store, 1), Retention::Ordinary);
}

#[test]
fn one_that_never_goes_quiet_is_judged_too() {
    let mut store = store(usize::MAX);
    for second in 0..30 {
        store.add(vec![span(1, second + 1, 0, 1)], s(second));
        assert_eq!(class(&store, 1), Retention::Pending);
    }
    store.judge_quiet(PENDING_MAX);
    assert_eq!(class(&store, 1), Retention::Ordinary);
}

#[test]
fn late_spans_join_and_may_change_the_judgement() {
    let mut store = store(usize::MAX);
    store.add(vec![span(1, 1, 0, 1)], s(0));
    store.judge_quiet(s(10));
    let mut late = span(1, 2, 1, 1);
    late.span.failed = true;
    store.add(vec![late], s(60));
    assert_eq!(class(&store, 1), Retention::Pending);
    store.judge_quiet(s(63));
    assert_eq!(
        (class(&store, 1), store.traces[&1].spans.len()),
        (Retention::Notable, 2)
    );
    store.add(vec![span(1, 3, 1, 1)], s(70));
    store.judge_quiet(s(80));
    assert_eq!(class(&store, 1), Retention::Notable, "it stays what it was found to be");
}

#[test]
fn ordinary_ones_go_first_and_the_oldest_of_them() {
    let mut store = store(room_for(8));
    store.add(
        vec![span(1, 1, 0, 1), failed(2), span(3, 1, 0, 200), span(4, 1, 0, 1)],
        s(0),
    );
    store.judge_quiet(s(10));
    let classes = [1, 2, 3, 4].map(|id| class(&store, id));
    assert_eq!(
        classes,
        [
            Retention::Ordinary,
            Retention::Notable,
            Retention::Notable,
            Retention::Ordinary
        ],
        "failed and slow stay"
    );
    store.add((5..=9).map(|id| span(id, 1, 0, 1)).collect(), s(11));
    assert_eq!(
        kept(&store),
        [2, 3, 4, 5, 6, 7, 8, 9],
        "the oldest ordinary one made room"
    );
    store.add((10..=11).map(|id| span(id, 1, 0, 1)).collect(), s(12));
    assert_eq!(
        kept(&store),
        [2, 3, 6, 7, 8, 9, 10, 11],
        "then the oldest that nobody has judged"
    );
    assert_eq!(store.counts().evicted_traces, 3);
}

#[test]
fn the_sample_is_the_same_everywhere_and_stays() {
    let config = config::Traces {
        sample: 0.25,
        ..config::Traces::default()
    };
    let (mut one, mut other) = (TraceStore::new(config.clone()), TraceStore::new(config));
    // Ids spread over all numbers, as random ones do.
    let id = |number: u64| u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let arrivals: Vec<ReceivedSpan> = (1..=1_000)
        .map(|number| {
            let mut received = span(1, 1, 0, 1);
            received.trace = id(number);
            received
        })
        .collect();
    one.add(arrivals.clone(), s(0));
    other.add(arrivals, s(0));
    one.judge_quiet(s(10));
    other.judge_quiet(s(10));
    let notable = |store: &TraceStore| {
        store.by_age[&Retention::Notable]
            .iter()
            .map(|(_, id)| *id)
            .collect::<BTreeSet<_>>()
    };
    assert!((200..=300).contains(&notable(&one).len()), "{}", notable(&one).len());
    assert_eq!(notable(&one), notable(&other));
}

#[test]
fn memory_full_of_failures_leaves_room_for_the_ordinary() {
    let mut store = store(room_for(100));
    for id in 1..=500 {
        store.add(vec![failed(id)], s(0));
    }
    store.judge_quiet(s(10));
    for id in 501..=600 {
        store.add(vec![span(id, 1, 0, 1)], s(20));
    }
    store.judge_quiet(s(30));
    let ordinary = store.by_age[&Retention::Ordinary].len();
    assert!((20..=30).contains(&ordinary), "{ordinary}");
    assert!(store.traces.contains_key(&600) && !store.traces.contains_key(&501));
    let notable: Vec<u128> = store.by_age[&Retention::Notable].iter().map(|(_, id)| *id).collect();
    assert_eq!(
        notable,
        (426..=500).collect::<Vec<_>>(),
        "the newest failures, which a flood leaves alone"
    );
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut store = store(100_000);
    for id in 1..=5_000 {
        let mut received = span(id, id as u64, 0, 1);
        received.span.message = "x".repeat((id % 7) as usize * 100);
        received.span.failed = id % 3 == 0;
        store.add(vec![received], s(id as u64 / 100));
        assert!(store.size().1 <= 100_000);
    }
    let counted: usize = store.traces.values().map(|entry| entry.bytes).sum();
    assert_eq!(
        store.size(),
        (store.traces.len(), counted),
        "the sum is what the parts are"
    );
    let indexed: usize = store.by_age.values().map(BTreeSet::len).sum();
    assert_eq!(indexed, store.traces.len());
    assert_eq!(store.counts().evicted_traces + store.traces.len() as u64, 5_000);
}

/// What the allocator gives for a piece of memory.
fn block(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        _ => (bytes + 8).next_multiple_of(16).max(32),
    }
}

/// What a trace has taken from the allocator, beside its places in the maps.
fn taken(entry: &StoredTrace) -> usize {
    let text = |text: &String| block(text.capacity());
    let span = |span: &StoredSpan| {
        let texts: usize = [&span.name, &span.service, &span.instance, &span.message]
            .map(text)
            .iter()
            .sum();
        let pairs: usize = span.attributes.iter().map(|(key, value)| text(key) + text(value)).sum();
        let lists = block(span.attributes.capacity() * size_of::<(String, String)>())
            + block(span.links.capacity() * size_of::<(u128, u64)>());
        block(size_of::<StoredSpan>()) + texts + pairs + lists
    };
    let spans: usize = entry.spans.iter().map(|it| span(it)).sum();
    spans + block(entry.spans.capacity() * size_of::<Box<StoredSpan>>())
}

#[test]
fn the_estimate_covers_what_is_taken() {
    let mut store = store(usize::MAX);
    for trace in 1..=200_u128 {
        let of_trace = |id: u64| {
            let mut received = span(trace, id, 0, 1);
            let mut roomy = String::with_capacity(500);
            roomy.push_str("short");
            received.span.attributes = (0..trace % 90).map(|at| (format!("key {at}"), roomy.clone())).collect();
            received.span.attributes.reserve(100);
            received.span.links = vec![(1, 1); (trace % 20) as usize];
            received.span.message = roomy;
            received.span = received.span.truncated();
            received
        };
        store.add((1..=1 + trace as u64 % 10).map(of_trace).collect(), s(0));
    }
    for entry in store.traces.values() {
        let (taken, places) = (taken(entry), size_of::<(u128, StoredTrace)>() + 64);
        assert!(entry.bytes >= taken + 2 * places, "{} for {taken}", entry.bytes);
        assert!(
            entry.bytes < 2 * taken + 4 * places,
            "not far beyond: {} for {taken}",
            entry.bytes
        );
    }
}

#[test]
fn a_failure_that_its_caller_only_saw_is_none_of_the_trace() {
    let mut store = store(usize::MAX);
    let with = |trace, kind, parent| {
        let mut received = span(trace, 2, parent, 1);
        received.span.failed = true;
        received.span.kind = kind;
        received
    };
    // A worker rejected the request, which is no failure by its own span; the caller's span has to be an error.
    store.add(vec![span(1, 1, 0, 1), with(1, SpanKind::Client, 1)], s(0));
    store.add(vec![span(2, 1, 0, 1), with(2, SpanKind::Server, 1)], s(0));
    store.add(vec![span(3, 1, 0, 1), with(3, SpanKind::Consumer, 1)], s(0));
    store.add(vec![with(4, SpanKind::Client, 0)], s(0));
    let failed = [1, 2, 3, 4].map(|id| store.traces[&id].failed);
    assert_eq!(failed, [false, true, true, true]);
}

#[test]
fn a_span_without_times_does_not_stretch_its_trace() {
    let mut store = store(usize::MAX);
    let mut timeless = span(5, 2, 1, 0);
    (timeless.span.start_us, timeless.span.end_us) = (0, 0);
    let mut alone = timeless.clone();
    alone.trace = 6;
    store.add(vec![timeless, span(5, 1, 0, 20), alone], s(0));
    let durations = [5, 6].map(|id| store.traces[&id].duration_us());
    assert_eq!(durations, [20_000, 0]);
}

#[test]
fn spans_of_one_trace_are_bounded_and_the_rest_is_counted() {
    let mut store = store(usize::MAX);
    store.add((1..=25).map(|id| span(1, id, 0, 1)).collect(), s(0));
    let mut last = span(1, 26, 0, 1);
    last.span.failed = true;
    store.add(vec![last, span(1, 1, 0, 1)], s(1));
    let (spans, dropped) = store.spans(1).unwrap();
    assert_eq!((spans.len(), dropped, store.counts().dropped_spans), (10, 16, 16));
    assert!(
        list(&store, &all()).items[0].failed,
        "a failure counts without its span"
    );
}

#[test]
fn lists_are_filtered_and_newest_first() {
    let mut store = store(usize::MAX);
    store.add(vec![span(2, 1, 0, 500), failed(3), span(1, 1, 0, 1)], s(0));
    let listed = |request: ListTracesRequest| ids(&list(&store, &request));
    assert_eq!(listed(all()), [3, 2, 1]);
    let two = ListTracesRequest { page_size: 2, ..all() };
    assert_eq!(listed(two), [3, 2]);
    let failed = ListTracesRequest { failed: true, ..all() };
    assert_eq!(listed(failed), [3]);
    let slow = ListTracesRequest {
        duration_us_min: 500_000,
        ..all()
    };
    assert_eq!(listed(slow), [2]);
    assert!(list(&store, &all()).items.iter().all(|trace| trace.spans.is_empty()));
}

#[test]
fn pages_go_on_where_they_stopped_whatever_arrives_or_is_evicted() {
    let mut store = store(usize::MAX);
    store.add((1..=6).map(|id| span(id, 1, 0, 1)).collect(), s(0));
    let mut request = ListTracesRequest { page_size: 2, ..all() };
    let first = list(&store, &request);
    assert_eq!(ids(&first), [6, 5]);
    store.remove(5);
    store.add(vec![span(7, 1, 0, 1)], s(1));
    request.page_token = first.next_page_token;
    let second = list(&store, &request);
    assert_eq!(ids(&second), [4, 3]);
    request.page_token = second.next_page_token;
    let third = list(&store, &request);
    assert_eq!((ids(&third), third.next_page_token.as_str()), (vec![2, 1], ""));
    let other = ListTracesRequest {
        failed: true,
        ..request
    };
    assert!(
        trace::listing(&other)
            .key::<TraceKey>(&list(&store, &ListTracesRequest { page_size: 1, ..all() }).next_page_token)
            .is_err()
    );
}

#[test]
fn the_root_names_the_trace_and_else_the_first() {
    let mut store = store(usize::MAX);
    let named = |id, parent, start_us, name: &str| {
        let mut received = span(1, id, parent, 1);
        received.span.start_us = start_us;
        received.span.name = name.to_owned();
        received
    };
    let mut name = |received| {
        store.add(vec![received], s(0));
        list(&store, &all()).items[0].name.clone()
    };
    assert_eq!(name(named(3, 2, 300, "third")), "third");
    assert_eq!(name(named(2, 1, 200, "second")), "second");
    assert_eq!(name(named(1, 0, 250, "root")), "root");
    assert_eq!(name(named(4, 3, 100, "fourth")), "root");
}
