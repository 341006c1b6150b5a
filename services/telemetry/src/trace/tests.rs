//! Trace ids exist, are inherited and cross processes.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use lepton_core::clock::Clock;
use lepton_core::random::Random;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span as SdkSpan, SpanData, SpanProcessor};
use tracing::{Dispatch, Instrument, info_span};
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::{TraceConfig, scope};

const REMOTE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Runs under a subscriber that exports nothing.
fn traced<T>(body: impl FnOnce() -> T) -> T {
    tracing::dispatcher::with_default(&dispatch(0.0, None), body)
}

fn dispatch(ratio: f64, kept: Option<&Kept>) -> Dispatch {
    let tracer = kept.map(|kept| {
        let provider = SdkTracerProvider::builder()
            .with_id_generator(Ids(Random::seeded(2)))
            .with_span_processor(kept.clone());
        provider.build().tracer("test")
    });
    let exported = tracer.clone().map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_context_activation(false)
            .with_filter(Sampled)
    });
    let config = TraceConfig { ratio, per_second: 0 };
    let layer = Layer::new(Random::seeded(1), Sampler::new(&config, Clock::system()), tracer);
    Dispatch::new(tracing_subscriber::registry().with(exported).with(layer))
}

/// Spans that the SDK makes.
#[derive(Clone, Debug, Default)]
struct Kept {
    begun: Arc<AtomicUsize>,
    ended: Arc<Mutex<Vec<SpanData>>>,
}

impl Kept {
    fn spans(&self) -> Vec<(String, TraceContext, String)> {
        let ended = self.ended.lock().unwrap();
        let shown = ended.iter().map(|span| {
            let at = &span.span_context;
            let traceparent = format!("00-{}-{}-{:02x}", at.trace_id(), at.span_id(), at.trace_flags().to_u8());
            let context = TraceContext::parse(&traceparent).unwrap();
            (span.name.to_string(), context, span.parent_span_id.to_string())
        });
        shown.collect()
    }
}

impl SpanProcessor for Kept {
    fn on_start(&self, _: &mut SdkSpan, _: &Context) {
        self.begun.fetch_add(1, Relaxed);
    }

    fn on_end(&self, span: SpanData) {
        self.ended.lock().unwrap().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn request() -> Span {
    Head::default().span(|| info_span!("request"))
}

#[test]
fn a_request_has_a_trace_id_that_its_parts_share() {
    traced(|| {
        assert_eq!(trace_id(), None);
        let (outer, inner) = request().in_scope(|| {
            let outer = current().unwrap();
            (outer, info_span!("part").in_scope(|| current().unwrap()))
        });
        assert_eq!(outer.trace_id(), inner.trace_id());
        assert_ne!(outer.span_id(), inner.span_id());
        assert!(!outer.is_sampled());
        assert_ne!(request().in_scope(trace_id), Some(outer.trace_id()));
    });
}

#[test]
fn a_span_of_no_request_is_no_trace() {
    let kept = Kept::default();
    tracing::dispatcher::with_default(&dispatch(1.0, Some(&kept)), || {
        assert_eq!(info_span!("of the house").in_scope(current), None);
    });
    assert_eq!(kept.begun.load(Relaxed), 0);
}

#[test]
fn a_remote_parent_is_continued() {
    traced(|| {
        let context = Head::below(REMOTE)
            .span(|| info_span!("attempt"))
            .in_scope(|| current().unwrap());
        assert_eq!(context.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert!(context.is_sampled());
        assert_ne!(context.span_id(), "b7ad6b7169203331");
        let named = Head::below(REMOTE).with_id(0xabc).span(|| info_span!("attempt"));
        assert_eq!(named.in_scope(|| current().unwrap()).span_id(), "0000000000000abc");
    });
}

#[test]
fn what_is_not_sampled_builds_no_span_of_opentelemetry() {
    let kept = Kept::default();
    tracing::dispatcher::with_default(&dispatch(0.0, Some(&kept)), || {
        let unsampled = REMOTE.replace("-01", "-00");
        for head in [Head::default(), Head::below(&unsampled)] {
            let sent = head
                .span(|| info_span!("request"))
                .in_scope(|| info_span!("part").in_scope(|| current().unwrap()));
            assert!(!sent.is_sampled());
        }
    });
    assert_eq!((kept.begun.load(Relaxed), kept.spans().len()), (0, 0));
}

#[tokio::test]
async fn the_decision_is_the_requests_across_awaits_and_tasks() {
    let kept = Kept::default();
    let dispatch = dispatch(1.0, Some(&kept));
    let _default = tracing::dispatcher::set_default(&dispatch);
    let sampled = request();
    let unsampled = Head::below(&REMOTE.replace("-01", "-00")).span(|| info_span!("unsampled"));
    let work = |name: &'static str| async move {
        tokio::task::yield_now().await;
        let part = info_span!("part", otel.name = name);
        let work = async {
            tokio::task::yield_now().await;
            drop(info_span!("inner"));
        };
        let spawned = tokio::spawn(work.instrument(part));
        spawned.await.unwrap();
    };
    // They take turns in one thread.
    tokio::join!(
        work("a").instrument(sampled.clone()),
        work("b").instrument(unsampled.clone())
    );
    let root = sampled.in_scope(|| current().unwrap());
    drop((sampled, unsampled));
    let spans = kept.spans();
    let names: Vec<&str> = spans.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["inner", "a", "request"]);
    assert!(
        spans
            .iter()
            .all(|(_, context, _)| context.trace_id() == root.trace_id())
    );
    assert_eq!(spans[0].2, spans[1].1.span_id());
    assert_eq!((spans[1].2.clone(), spans[2].1), (root.span_id(), root));
    assert_eq!(spans[2].2, "0000000000000000", "one root");
}

#[test]
fn work_that_is_over_is_recorded_below_its_parent() {
    let kept = Kept::default();
    tracing::dispatcher::with_default(&dispatch(0.0, Some(&kept)), || {
        let parent = TraceContext::parse(REMOTE).unwrap();
        record(
            "queue wait",
            &parent,
            Duration::from_secs(3),
            vec![KeyValue::new("a", 1)],
        );
        record("not sampled", &parent.unsampled(), Duration::from_secs(3), Vec::new());
    });
    let ended = kept.ended.lock().unwrap();
    assert_eq!(ended.len(), 1);
    let took = ended[0].end_time.duration_since(ended[0].start_time).unwrap();
    assert_eq!(
        (took, ended[0].parent_span_id.to_string()),
        (Duration::from_secs(3), "b7ad6b7169203331".to_owned())
    );
}

#[test]
fn headers_carry_the_context() {
    traced(|| {
        let mut headers = HeaderMap::new();
        inject(current(), &mut headers);
        assert!(headers.is_empty());
        let sent = request().in_scope(current);
        inject(sent, &mut headers);
        assert_eq!(extract(&headers), sent);
        headers.append(TRACEPARENT, HeaderValue::from_static(REMOTE));
        assert_eq!(extract(&headers), None, "of two, none is continued");
    });
}

#[test]
fn the_scope_of_a_service_is_no_trace() {
    let kept = Kept::default();
    tracing::dispatcher::with_default(&dispatch(1.0, Some(&kept)), || {
        scope("gateway", &"gateway-1".into()).in_scope(|| {
            assert_eq!(current(), None);
            let first = request().in_scope(trace_id);
            assert_ne!(request().in_scope(trace_id), first);
        });
    });
    let ended = kept.ended.lock().unwrap();
    let scopes = ended
        .iter()
        .map(|span| span.attributes.iter().find(|pair| pair.key.as_str() == SCOPE).unwrap());
    assert!(
        scopes
            .into_iter()
            .all(|scope| scope.value.as_str() == "gateway\ngateway-1")
    );
    assert_eq!(ended.len(), 2);
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
