//! Calls continue the trace, and have a span of their own where it is sampled.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use tower::ServiceExt;
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::TraceConfig;
use crate::trace::{Head, Layer, Sampler, TRACEPARENT, TraceContext};
use lepton_core::clock::Clock;
use lepton_core::random::Random;

const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Calls inside a span below `parent`; returns the context that the other end received.
async fn received(parent: &str, status: &'static str) -> TraceContext {
    let received = Arc::new(Mutex::new(None));
    let memory = received.clone();
    let other_end = tower::service_fn(move |request: Request<Body>| {
        *memory.lock().unwrap() = Some(request.headers()[TRACEPARENT].to_str().unwrap().to_owned());
        let response = Response::builder()
            .header("grpc-status", status)
            .body(Body::empty())
            .unwrap();
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let sampler = Sampler::new(&TraceConfig::default(), Clock::system());
    let subscriber = tracing_subscriber::registry().with(Layer::new(Random::seeded(1), sampler, None));
    let _guard = tracing::dispatcher::set_default(&Dispatch::new(subscriber));
    let request = Request::post("/lepton.test.v1.TestService/Check")
        .body(Body::empty())
        .unwrap();
    let span = Head::below(parent).span(|| info_span!("request"));
    let call = span
        .in_scope(|| Propagate::to("worker", other_end).oneshot(request))
        .instrument(span);
    assert_eq!(call.await.unwrap().headers()["grpc-status"], status);
    let received = received.lock().unwrap().take().unwrap();
    TraceContext::parse(&received).unwrap()
}

#[tokio::test]
async fn the_other_end_continues_the_trace() {
    for parent in [SAMPLED, &SAMPLED.replace("-01", "-00")] {
        for status in ["0", "14"] {
            let context = received(parent, status).await;
            assert_eq!(context.trace_id(), "0af7651916cd43dd8448eb211c80319c");
            assert_eq!(context.is_sampled(), parent == SAMPLED);
            assert_ne!(context.span_id(), "b7ad6b7169203331");
        }
    }
}
