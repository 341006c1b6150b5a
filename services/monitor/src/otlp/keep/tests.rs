//! Each rule of what stays.

use lepton_proto::monitor::v1::SpanKind;

use super::*;
use crate::otlp::arrival::Piece;

const QUIET: Duration = Duration::from_secs(3);

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A keep without a sample, so that only the other rules decide.
fn keep(bytes_max: usize) -> Keep {
    Keep::new(config::Traces {
        bytes_max,
        spans_max: 10,
        quiet: QUIET,
        sample: 0.0,
        ..config::Traces::default()
    })
}

fn span(trace: u128, id: u64, parent: u64, took_ms: u64) -> Arrival {
    let span = Piece {
        id,
        parent,
        name: "asks".to_owned(),
        start_us: 1_000_000 * trace as u64,
        end_us: 1_000_000 * trace as u64 + 1_000 * took_ms,
        ..Piece::default()
    };
    Arrival { trace, span }
}

fn failed(trace: u128) -> Arrival {
    let mut arrival = span(trace, 1, 0, 1);
    arrival.span.failed = true;
    arrival
}

fn all() -> Filter {
    Filter {
        limit: 1_000,
        failed: false,
        duration_us_min: 0,
    }
}

fn kept(keep: &Keep) -> Vec<u128> {
    keep.traces.keys().copied().collect()
}

fn class(keep: &Keep, id: u128) -> Class {
    keep.traces[&id].class
}

/// As many bytes as this many traces of one span take.
fn room_for(traces: usize) -> usize {
    let mut one = keep(usize::MAX);
    one.add(vec![span(1, 1, 0, 1)], s(0));
    one.size().1 * traces
}

#[test]
fn a_trace_is_judged_when_it_has_been_quiet() {
    let mut keep = keep(usize::MAX);
    keep.add(vec![span(1, 1, 0, 1)], s(0));
    keep.add(vec![span(1, 2, 1, 1)], s(2));
    keep.settle(s(4));
    assert_eq!(class(&keep, 1), Class::Pending, "the second span began the wait anew");
    keep.settle(s(5));
    assert_eq!(class(&keep, 1), Class::Ordinary);
}

#[test]
fn one_that_never_goes_quiet_is_judged_too() {
    let mut keep = keep(usize::MAX);
    for second in 0..30 {
        keep.add(vec![span(1, second + 1, 0, 1)], s(second));
        assert_eq!(class(&keep, 1), Class::Pending);
    }
    keep.settle(PENDING_MAX);
    assert_eq!(class(&keep, 1), Class::Ordinary);
}

#[test]
fn late_spans_join_and_may_change_the_judgement() {
    let mut keep = keep(usize::MAX);
    keep.add(vec![span(1, 1, 0, 1)], s(0));
    keep.settle(s(10));
    let mut late = span(1, 2, 1, 1);
    late.span.failed = true;
    keep.add(vec![late], s(60));
    assert_eq!(class(&keep, 1), Class::Pending);
    keep.settle(s(63));
    assert_eq!((class(&keep, 1), keep.traces[&1].spans.len()), (Class::Notable, 2));
    keep.add(vec![span(1, 3, 1, 1)], s(70));
    keep.settle(s(80));
    assert_eq!(class(&keep, 1), Class::Notable, "it stays what it was found to be");
}

#[test]
fn ordinary_ones_go_first_and_the_oldest_of_them() {
    let mut keep = keep(room_for(8));
    keep.add(
        vec![span(1, 1, 0, 1), failed(2), span(3, 1, 0, 200), span(4, 1, 0, 1)],
        s(0),
    );
    keep.settle(s(10));
    let classes = [1, 2, 3, 4].map(|id| class(&keep, id));
    assert_eq!(
        classes,
        [Class::Ordinary, Class::Notable, Class::Notable, Class::Ordinary],
        "failed and slow stay"
    );
    keep.add((5..=9).map(|id| span(id, 1, 0, 1)).collect(), s(11));
    assert_eq!(
        kept(&keep),
        [2, 3, 4, 5, 6, 7, 8, 9],
        "the oldest ordinary one made room"
    );
    keep.add((10..=11).map(|id| span(id, 1, 0, 1)).collect(), s(12));
    assert_eq!(
        kept(&keep),
        [2, 3, 6, 7, 8, 9, 10, 11],
        "then the oldest that nobody has judged"
    );
    assert_eq!(keep.counts().evicted_traces, 3);
}

#[test]
fn the_sample_is_the_same_everywhere_and_stays() {
    let config = config::Traces {
        sample: 0.25,
        ..config::Traces::default()
    };
    let (mut one, mut other) = (Keep::new(config.clone()), Keep::new(config));
    // Ids spread over all numbers, as random ones do.
    let id = |number: u64| u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let arrivals: Vec<Arrival> = (1..=1_000)
        .map(|number| {
            let mut arrival = span(1, 1, 0, 1);
            arrival.trace = id(number);
            arrival
        })
        .collect();
    one.add(arrivals.clone(), s(0));
    other.add(arrivals, s(0));
    one.settle(s(10));
    other.settle(s(10));
    let notable = |keep: &Keep| {
        keep.ages[&Class::Notable]
            .iter()
            .map(|(_, id)| *id)
            .collect::<BTreeSet<_>>()
    };
    assert!((200..=300).contains(&notable(&one).len()), "{}", notable(&one).len());
    assert_eq!(notable(&one), notable(&other));
}

#[test]
fn memory_full_of_failures_leaves_room_for_the_ordinary() {
    let mut keep = keep(room_for(100));
    for id in 1..=500 {
        keep.add(vec![failed(id)], s(0));
    }
    keep.settle(s(10));
    for id in 501..=600 {
        keep.add(vec![span(id, 1, 0, 1)], s(20));
    }
    keep.settle(s(30));
    let ordinary = keep.ages[&Class::Ordinary].len();
    assert!((20..=30).contains(&ordinary), "{ordinary}");
    assert!(keep.traces.contains_key(&600) && !keep.traces.contains_key(&501));
    let notable: Vec<u128> = keep.ages[&Class::Notable].iter().map(|(_, id)| *id).collect();
    assert_eq!(
        notable,
        (426..=500).collect::<Vec<_>>(),
        "the newest failures, which a flood leaves alone"
    );
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut keep = keep(100_000);
    for id in 1..=5_000 {
        let mut arrival = span(id, id as u64, 0, 1);
        arrival.span.message = "x".repeat((id % 7) as usize * 100);
        arrival.span.failed = id % 3 == 0;
        keep.add(vec![arrival], s(id as u64 / 100));
        assert!(keep.size().1 <= 100_000);
    }
    let counted: usize = keep.traces.values().map(|entry| entry.bytes).sum();
    assert_eq!(
        keep.size(),
        (keep.traces.len(), counted),
        "the sum is what the parts are"
    );
    let indexed: usize = keep.ages.values().map(BTreeSet::len).sum();
    assert_eq!(indexed, keep.traces.len());
    assert_eq!(keep.counts().evicted_traces + keep.traces.len() as u64, 5_000);
}

/// What the allocator gives for a piece of memory.
fn block(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        _ => (bytes + 8).next_multiple_of(16).max(32),
    }
}

/// What a trace has taken from the allocator, beside its places in the maps.
fn taken(entry: &Entry) -> usize {
    let text = |text: &String| block(text.capacity());
    let span = |span: &Piece| {
        let texts: usize = [&span.name, &span.service, &span.instance, &span.message]
            .map(text)
            .iter()
            .sum();
        let pairs: usize = span.attributes.iter().map(|(key, value)| text(key) + text(value)).sum();
        let lists = block(span.attributes.capacity() * size_of::<(String, String)>())
            + block(span.links.capacity() * size_of::<(u128, u64)>());
        block(size_of::<Piece>()) + texts + pairs + lists
    };
    let spans: usize = entry.spans.iter().map(|it| span(it)).sum();
    spans + block(entry.spans.capacity() * size_of::<Box<Piece>>())
}

#[test]
fn the_estimate_covers_what_is_taken() {
    let mut keep = keep(usize::MAX);
    for trace in 1..=200_u128 {
        let of_trace = |id: u64| {
            let mut arrival = span(trace, id, 0, 1);
            let mut roomy = String::with_capacity(500);
            roomy.push_str("short");
            arrival.span.attributes = (0..trace % 90).map(|at| (format!("key {at}"), roomy.clone())).collect();
            arrival.span.attributes.reserve(100);
            arrival.span.links = vec![(1, 1); (trace % 20) as usize];
            arrival.span.message = roomy;
            arrival.span = arrival.span.bounded();
            arrival
        };
        keep.add((1..=1 + trace as u64 % 10).map(of_trace).collect(), s(0));
    }
    for entry in keep.traces.values() {
        let (taken, places) = (taken(entry), size_of::<(u128, Entry)>() + 64);
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
    let mut keep = keep(usize::MAX);
    let with = |trace, kind, parent| {
        let mut arrival = span(trace, 2, parent, 1);
        arrival.span.failed = true;
        arrival.span.kind = kind;
        arrival
    };
    // A worker refused what was asked, and says itself that this is no failure; the caller's span has to be an error.
    keep.add(vec![span(1, 1, 0, 1), with(1, SpanKind::Client, 1)], s(0));
    keep.add(vec![span(2, 1, 0, 1), with(2, SpanKind::Server, 1)], s(0));
    keep.add(vec![span(3, 1, 0, 1), with(3, SpanKind::Consumer, 1)], s(0));
    keep.add(vec![with(4, SpanKind::Client, 0)], s(0));
    let failed = [1, 2, 3, 4].map(|id| keep.traces[&id].failed);
    assert_eq!(failed, [false, true, true, true]);
}

#[test]
fn a_span_without_times_does_not_stretch_its_trace() {
    let mut keep = keep(usize::MAX);
    let mut timeless = span(5, 2, 1, 0);
    (timeless.span.start_us, timeless.span.end_us) = (0, 0);
    let mut alone = timeless.clone();
    alone.trace = 6;
    keep.add(vec![timeless, span(5, 1, 0, 20), alone], s(0));
    let durations = [5, 6].map(|id| keep.traces[&id].duration_us());
    assert_eq!(durations, [20_000, 0]);
}

#[test]
fn spans_of_one_trace_are_bounded_and_the_rest_is_counted() {
    let mut keep = keep(usize::MAX);
    keep.add((1..=25).map(|id| span(1, id, 0, 1)).collect(), s(0));
    let mut last = span(1, 26, 0, 1);
    last.span.failed = true;
    keep.add(vec![last, span(1, 1, 0, 1)], s(1));
    let (spans, dropped) = keep.spans(1).unwrap();
    assert_eq!((spans.len(), dropped, keep.counts().dropped_spans), (10, 16, 16));
    assert!(keep.list(all())[0].failed, "a failure counts without its span");
}

#[test]
fn lists_are_filtered_and_newest_first() {
    let mut keep = keep(usize::MAX);
    keep.add(vec![span(2, 1, 0, 500), failed(3), span(1, 1, 0, 1)], s(0));
    let ids = |filter| {
        let traces = keep.list(filter);
        traces
            .iter()
            .map(|trace| u128::from_str_radix(&trace.trace_id, 16).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(all()), [3, 2, 1]);
    assert_eq!(ids(Filter { limit: 2, ..all() }), [3, 2]);
    assert_eq!(ids(Filter { failed: true, ..all() }), [3]);
    assert_eq!(
        ids(Filter {
            duration_us_min: 500_000,
            ..all()
        }),
        [2]
    );
    assert!(keep.list(all()).iter().all(|trace| trace.spans.is_empty()));
}

#[test]
fn the_root_names_the_trace_and_else_the_first() {
    let mut keep = keep(usize::MAX);
    let named = |id, parent, start_us, name: &str| {
        let mut arrival = span(1, id, parent, 1);
        arrival.span.start_us = start_us;
        arrival.span.name = name.to_owned();
        arrival
    };
    let mut name = |arrival| {
        keep.add(vec![arrival], s(0));
        keep.list(all())[0].name.clone()
    };
    assert_eq!(name(named(3, 2, 300, "third")), "third");
    assert_eq!(name(named(2, 1, 200, "second")), "second");
    assert_eq!(name(named(1, 0, 250, "root")), "root");
    assert_eq!(name(named(4, 3, 100, "fourth")), "root");
}
