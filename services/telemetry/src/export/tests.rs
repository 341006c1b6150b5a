//! Spans reach a receiver, with parents and attributes, and a dead one harms nobody.

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span as Received;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};
use tracing::{Dispatch, info_span};

use super::queue::QUEUE_SPANS_MAX;
use super::*;
use crate::trace::{Head, TraceContext};
use crate::{TelemetryConfig, TraceConfig, scope, subscriber};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use lepton_core::net::{Listener, Net};
use lepton_core::shutdown::Shutdown;

mod signals;

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

/// A receiver that serves until it is shut down.
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

/// Collectors of traces alone.
fn fixed(address: &str) -> Collectors {
    Collectors::find(Some(address), |_| None)
}

fn started(collectors: Collectors, context: &Context) -> Guard {
    start("lepton", "up-1", collectors, context, lines(context))
}

fn lines(context: &Context) -> Lines {
    Lines::start(std::io::sink(), &context.metrics, |_| {})
}

/// Runs `body` under a subscriber that exports everything it is allowed to.
fn traced(guard: &Guard, ratio: f64, body: impl FnOnce()) {
    let (context, mut config) = (Context::system(), TelemetryConfig::default());
    config.trace = TraceConfig { ratio, per_second: 0 };
    let subscriber = subscriber(&config, &context, guard, lines(&context));
    tracing::dispatcher::with_default(&Dispatch::new(subscriber), body);
}

/// The collectors that these variables name.
fn named(variables: &[(&str, String)]) -> Collectors {
    let find = |name: &str| {
        variables
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.clone())
    };
    Collectors::find(None, find)
}

/// The first span of a request.
fn request(name: &'static str) -> tracing::Span {
    Head::default().span(|| info_span!("request", otel.name = name))
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
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
            let head = Head::below(REMOTE).linked(TraceContext::parse(REMOTE).unwrap());
            let attempt = head.span(|| info_span!("attempt", otel.name = "echo", otel.kind = "consumer", number = 2));
            attempt.in_scope(|| info_span!("run"));
            drop(request("not sampled"));
            drop(info_span!("of no request"));
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
    assert_eq!(*service, text("service.name", "worker"), "each service is a resource");
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
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b".to_owned()),
        ("OTEL_METRICS_EXPORTER", "none".to_owned()),
        ("OTEL_LOGS_EXPORTER", "none".to_owned()),
    ];
    let guard = started(named(&variables), &Context::system());
    traced(&guard, 1.0, || drop(request("posted")));
    guard.finish().await;
    let (headers, message) = received.try_recv().unwrap();
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["x-tenant"], "a b");
    assert_eq!(message.resource_spans[0].scope_spans[0].spans[0].name, "posted");
}

#[tokio::test]
async fn without_a_receiver_the_end_comes_soon_and_losses_are_counted() {
    let closed = Net::Os.bind("127.0.0.1:0").await.unwrap().local_addr().to_string();
    let context = Context::system();
    let guard = started(fixed(&closed), &context);
    traced(&guard, 1.0, || drop(request("lost")));
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
    traced(&guard, 1.0, || drop(request("before it is known")));
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
    let guard = started(Collectors::default(), &context);
    guard.monitors.send_replace(vec![closed, address]);
    traced(&guard, 1.0, || drop(request("not lost")));
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
    let guard = started(Collectors::default(), &context);
    // Nothing else runs in this thread meanwhile, so nothing leaves the queue.
    traced(&guard, 1.0, || {
        (0..QUEUE_SPANS_MAX + 100).for_each(|_| drop(request("one of many")))
    });
    let text = context.metrics.text().unwrap();
    assert!(
        text.contains("lepton_telemetry_spans_dropped_total{place=\"queue\"} 100\n"),
        "{text}"
    );
    guard.finish().await;
}

#[tokio::test]
async fn nothing_is_exported_under_the_simulator() {
    let context = Context {
        net: Net::Simulated,
        ..Context::system()
    };
    let guard = started(
        named(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1".to_owned())]),
        &context,
    );
    let started = (
        guard.queues.len(),
        guard.tracer.is_some(),
        guard.logger.is_some(),
        guard.pushing.len(),
    );
    assert_eq!(started, (0, false, false, 0));
    traced(&guard, 1.0, || {
        let sampled = request("kept to itself").in_scope(|| crate::trace::current().unwrap().is_sampled());
        assert!(!sampled, "there is nobody to sample for");
    });
    guard.finish().await;
}
