//! When a trace is whole.

use serde_json::json;

use super::*;

fn trace(spans: &[(&str, &str)]) -> Vec<u8> {
    let span = |(id, parent): &(&str, &str)| json!({"spanId": id, "parentSpanId": parent});
    let shown: Vec<Value> = spans.iter().map(span).collect();
    json!({"spanCount": spans.len(), "droppedSpanCount": 0, "spans": shown})
        .to_string()
        .into_bytes()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_trace_is_whole_when_its_beginning_is_there_and_nothing_comes_any_more() {
    let mut arrival = Arrival::default();
    // The worker's part comes first: two pieces that nothing holds together.
    let parts = trace(&[("c", "b"), ("d", "a")]);
    assert!(!arrival.is_whole(&parts, ms(10_000)));
    assert!(!arrival.is_whole(&parts, ms(20_000)), "however long it stays so");
    let joined = trace(&[("a", ""), ("b", "a"), ("c", "b"), ("d", "a")]);
    assert!(!arrival.is_whole(&joined, ms(20_250)));
    assert!(!arrival.is_whole(&joined, ms(21_000)));
    let more = trace(&[("a", ""), ("b", "a"), ("c", "b"), ("d", "a"), ("e", "d")]);
    assert!(!arrival.is_whole(&more, ms(21_249)), "it grew");
    assert!(arrival.is_whole(&more, ms(22_249)));
}

#[test]
fn a_trace_that_a_stranger_began_is_whole_too() {
    let mut arrival = Arrival::default();
    let body = trace(&[("a", "of a caller"), ("b", "a")]);
    assert!(!arrival.is_whole(&body, ms(500)));
    assert!(arrival.is_whole(&body, ms(1_500)));
    assert!(!arrival.is_whole(b"no json", ms(9_000)));
}
