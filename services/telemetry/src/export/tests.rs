//! Spans reach a receiver, with parents and attributes, and a dead one harms nobody.

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::Span as Received;
use tokio::sync::mpsc;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tracing::{Dispatch, info_span};
use tracing_subscriber::layer::SubscriberExt;

use super::lane::Target;
use super::*;
use crate::{TraceConfig, scope, trace};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use lepton_core::net::{Listener, Net};
use lepton_core::shutdown::Shutdown;

const REMOTE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

struct Receiver(mpsc::UnboundedSender<(Vec<KeyValue>, Received)>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for sent in request.into_inner().resource_spans {
            let of = sent.resource.unwrap().attributes;
            for span in sent.scope_spans.into_iter().flat_map(|it| it.spans) {
                self.0.send((of.clone(), span)).unwrap();
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A receiver that serves until it is told to end.
async fn receiver() -> (String, mpsc::UnboundedReceiver<(Vec<KeyValue>, Received)>, Shutdown) {
    let (sender, received) = mpsc::unbounded_channel();
    let listener = Net::Os.bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().to_string();
    let app = tonic::service::Routes::new(TraceServiceServer::new(Receiver(sender))).into_axum_router();
    let shutdown = Shutdown::new();
    tokio::spawn(serve(listener, app, shutdown.clone()));
    (address, received, shutdown)
}

async fn serve(listener: Listener, app: axum::Router, shutdown: Shutdown) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.triggered() => return,
        };
        let service = TowerToHyperService::new(app.clone());
        let stream = TokioIo::new(accepted.unwrap().0);
        connections.spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(stream, service).await;
        });
    }
}

fn fixed(address: &str) -> Option<Target> {
    Some(Target::fixed(address.to_owned(), None, MetadataMap::new()))
}

fn started(collector: Option<Target>, context: &Context) -> Guard {
    let lines = Lines::start(std::io::sink(), &context.metrics, |_| {});
    start("lepton", &"up-1".into(), collector, context, lines)
}

/// Runs `body` under a subscriber that exports everything it is allowed to.
fn traced(guard: &Guard, ratio: f64, body: impl FnOnce()) {
    let layer = trace::Layer::new(&TraceConfig { ratio, per_second: 0 }, Some(guard.exporter()));
    tracing::dispatcher::with_default(&Dispatch::new(tracing_subscriber::registry().with(layer)), body);
}

fn drain(received: &mut mpsc::UnboundedReceiver<(Vec<KeyValue>, Received)>) -> Vec<(Vec<KeyValue>, Received)> {
    std::iter::from_fn(|| received.try_recv().ok()).collect()
}

#[tokio::test]
async fn sampled_spans_arrive_with_their_parents() {
    let (address, mut received, _serving) = receiver().await;
    let guard = started(fixed(&address), &Context::system());
    traced(&guard, 0.0, || {
        scope("worker", &"worker-1".into()).in_scope(|| {
            let attempt = info_span!("attempt", otel.name = "echo", otel.kind = "consumer", number = 2);
            trace::with_parent(&attempt, REMOTE);
            trace::link(&attempt, REMOTE);
            attempt.in_scope(|| info_span!("run"));
            drop(info_span!("not sampled"));
            drop(info_span!("told of nobody", traceparent = ""));
        });
    });
    guard.finish().await;
    let mut spans = drain(&mut received);
    spans.sort_by(|a, b| a.1.name.cmp(&b.1.name));
    let names: Vec<_> = spans.iter().map(|(_, span)| span.name.as_str()).collect();
    assert_eq!(names, ["echo", "run"]);
    let ((of, echo), (_, run)) = (&spans[0], &spans[1]);
    assert_eq!(echo.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert_eq!(
        (run.parent_span_id.clone(), &run.trace_id),
        (echo.span_id.clone(), &echo.trace_id)
    );
    assert_eq!((echo.kind, echo.links.len(), echo.flags), (5, 1, 0x301));
    assert_eq!(
        (run.flags, run.end_time_unix_nano >= run.start_time_unix_nano),
        (0x101, true)
    );
    let keys: Vec<_> = echo.attributes.iter().map(|it| it.key.as_str()).collect();
    assert_eq!(keys, ["number"]);
    let service = of.iter().find(|pair| pair.key == "service.name").unwrap();
    assert_eq!(
        *service,
        attribute("service.name", "worker".to_owned()),
        "each service is a resource"
    );
}

#[tokio::test]
async fn a_collector_is_spoken_to_over_http_too() {
    let (sender, mut received) = mpsc::unbounded_channel();
    let take = async move |headers: http::HeaderMap, body: axum::body::Bytes| {
        let message = <ExportTraceServiceRequest as prost::Message>::decode(body).unwrap();
        sender.send((headers, message)).unwrap();
    };
    let listener = Net::Os.bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().to_string();
    let app = axum::Router::new().route("/v1/traces", axum::routing::post(take));
    tokio::spawn(serve(listener, app, Shutdown::new()));
    let mut headers = MetadataMap::new();
    headers.insert("x-tenant", "a".parse().unwrap());
    let target = Target::fixed(address, Some("/v1/traces".to_owned()), headers);
    let guard = started(Some(target), &Context::system());
    traced(&guard, 1.0, || drop(info_span!("posted")));
    guard.finish().await;
    let (headers, message) = received.try_recv().unwrap();
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["x-tenant"], "a");
    assert_eq!(message.resource_spans[0].scope_spans[0].spans[0].name, "posted");
}

#[tokio::test]
async fn without_a_receiver_the_end_comes_soon_and_losses_are_counted() {
    let closed = Net::Os.bind("127.0.0.1:0").await.unwrap().local_addr().to_string();
    let context = Context::system();
    let guard = started(fixed(&closed), &context);
    traced(&guard, 1.0, || drop(info_span!("lost")));
    tokio::time::timeout(Duration::from_secs(5), guard.finish())
        .await
        .unwrap();
    let text = context.metrics.text().unwrap();
    for place in ["collector", "mesh"] {
        let counted = format!("lepton_telemetry_spans_dropped_total{{place=\"{place}\"}} 1\n");
        assert!(text.contains(&counted), "{text}");
    }
}

#[tokio::test]
async fn a_dead_collector_does_not_keep_the_mesh_waiting() {
    let closed = Net::Os.bind("127.0.0.1:0").await.unwrap().local_addr().to_string();
    let (address, mut received, _serving) = receiver().await;
    let guard = started(fixed(&closed), &Context::system());
    traced(&guard, 1.0, || drop(info_span!("before it is known")));
    guard.monitors.send_replace(vec![address]);
    let waiting = tokio::time::timeout(Duration::from_secs(10), received.recv());
    assert_eq!(waiting.await.unwrap().unwrap().1.name, "before it is known");
    guard.finish().await;
}

#[tokio::test]
async fn the_next_receiver_takes_what_the_first_cannot() {
    let closed = Net::Os.bind("127.0.0.1:0").await.unwrap().local_addr().to_string();
    let (address, mut received, _serving) = receiver().await;
    let context = Context::system();
    let guard = started(None, &context);
    guard.monitors.send_replace(vec![closed, address]);
    traced(&guard, 1.0, || drop(info_span!("not lost")));
    let waiting = tokio::time::timeout(Duration::from_secs(10), received.recv());
    assert_eq!(waiting.await.unwrap().unwrap().1.name, "not lost");
    let text = context.metrics.text().unwrap();
    assert!(
        text.contains("lepton_telemetry_spans_dropped_total{place=\"mesh\"} 0\n"),
        "{text}"
    );
    guard.finish().await;
}

#[tokio::test]
async fn a_flood_is_dropped_and_counted_and_blocks_nobody() {
    let context = Context::system();
    let guard = started(None, &context);
    // Nothing else runs in this thread meanwhile, so nothing leaves the queue.
    traced(&guard, 1.0, || {
        (0..QUEUE_SPANS_MAX + 100).for_each(|_| drop(info_span!("one of many")))
    });
    let text = context.metrics.text().unwrap();
    assert!(
        text.contains("lepton_telemetry_spans_dropped_total{place=\"queue\"} 100\n"),
        "{text}"
    );
    guard.finish().await;
}
