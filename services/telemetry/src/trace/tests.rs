//! Trace ids exist, are inherited and cross processes.

use tracing::{Dispatch, info_span};
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::{TraceConfig, scope};

const REMOTE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Runs under a subscriber that exports nothing.
fn traced<T>(body: impl FnOnce() -> T) -> T {
    let subscriber = tracing_subscriber::registry().with(Layer::new(&TraceConfig::default(), None));
    tracing::dispatcher::with_default(&Dispatch::new(subscriber), body)
}

#[test]
fn a_request_has_a_trace_id_that_its_parts_share() {
    traced(|| {
        assert_eq!(trace_id(), None);
        let (outer, inner) = info_span!("request").in_scope(|| {
            let outer = current().unwrap();
            (outer, info_span!("part").in_scope(|| current().unwrap()))
        });
        assert_eq!(outer.trace_id(), inner.trace_id());
        assert_ne!(outer.span_id(), inner.span_id());
        assert!(!outer.is_sampled());
        assert_ne!(info_span!("request").in_scope(trace_id), Some(outer.trace_id()));
    });
}

#[test]
fn a_remote_parent_is_adopted_early_or_late() {
    traced(|| {
        let late = info_span!("attempt");
        with_parent(&late, REMOTE);
        with_parent(&late, "nonsense");
        for span in [late, info_span!("attempt", traceparent = REMOTE)] {
            let context = span.in_scope(|| current().unwrap());
            assert_eq!(context.trace_id(), "0af7651916cd43dd8448eb211c80319c");
            assert!(context.is_sampled());
            assert_ne!(context.span_id(), "b7ad6b7169203331");
        }
    });
}

#[test]
fn headers_carry_the_context() {
    traced(|| {
        let mut headers = HeaderMap::new();
        inject(&mut headers);
        assert!(headers.is_empty());
        let sent = info_span!("call").in_scope(|| {
            inject(&mut headers);
            traceparent()
        });
        assert_eq!(extract(&headers), sent);
    });
}

#[test]
fn the_scope_of_a_service_is_no_trace() {
    traced(|| {
        scope("gateway", &"gateway-1".into()).in_scope(|| {
            assert_eq!(current(), None);
            let first = info_span!("request").in_scope(trace_id);
            assert_ne!(info_span!("request").in_scope(trace_id), first);
        });
    });
}

#[test]
fn only_valid_traceparents_are_taken() {
    assert_eq!(TraceContext::parse(REMOTE).unwrap().to_string(), REMOTE);
    assert!(TraceContext::parse(&format!("01{}-more", &REMOTE[2..])).is_some());
    let zero_trace = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
    let zero_span = "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01";
    let version = REMOTE.replacen("00", "ff", 1);
    let more = format!("{REMOTE}-more");
    let upper = REMOTE.to_uppercase();
    for bad in ["", "00", zero_trace, zero_span, &version, &more, &upper, &REMOTE[..54]] {
        assert_eq!(TraceContext::parse(bad), None, "{bad}");
    }
}
