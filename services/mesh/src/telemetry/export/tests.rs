//! Spans reach a receiver, with parents and attributes, and a dead one harms nobody.

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span as Received;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};
use tracing::{Dispatch, info_span};
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::server::{self, limits::Limits};
use crate::shutdown::Shutdown;
use crate::telemetry::{TraceConfig, scope, trace};

const REMOTE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

struct Receiver(mpsc::UnboundedSender<Received>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        for span in resources.flat_map(|it| it.scope_spans).flat_map(|it| it.spans) {
            self.0.send(span).unwrap();
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Runs `body` under a subscriber that exports everything it is allowed to.
fn traced(guard: &Guard, ratio: f64, body: impl FnOnce()) {
    let layer = trace::Layer::new(&TraceConfig { ratio, per_second: 0 }, guard.exporter());
    tracing::dispatcher::with_default(&Dispatch::new(tracing_subscriber::registry().with(layer)), body);
}

#[tokio::test]
async fn sampled_spans_arrive_with_their_parents() {
    let (sender, mut received) = mpsc::unbounded_channel();
    let listener = Net::Os.bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr());
    let app = tonic::service::Routes::new(TraceServiceServer::new(Receiver(sender))).into_axum_router();
    let shutdown = Shutdown::new();
    let serving = tokio::spawn(server::serve(listener, app, Limits::default(), shutdown.clone()));

    let guard = start(Net::Os, &endpoint, "lepton", &"up-1".into());
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
    let mut spans = Vec::new();
    while let Ok(span) = received.try_recv() {
        spans.push(span);
    }
    spans.sort_by(|a, b| a.name.cmp(&b.name));
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["echo", "run"]);
    let (echo, run) = (&spans[0], &spans[1]);
    assert_eq!(echo.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert_eq!(
        (run.parent_span_id.clone(), &run.trace_id),
        (echo.span_id.clone(), &echo.trace_id)
    );
    assert_eq!((echo.kind, echo.links.len()), (5, 1));
    let keys: Vec<_> = echo.attributes.iter().map(|it| it.key.as_str()).collect();
    assert_eq!(keys, ["number", "lepton.service", "service.instance.id"]);

    shutdown.trigger();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn without_a_receiver_the_end_comes_soon() {
    let closed = Net::Os.bind("127.0.0.1:0").await.unwrap().local_addr().to_string();
    let guard = start(Net::Os, &closed, "lepton", &"up-1".into());
    traced(&guard, 1.0, || drop(info_span!("lost")));
    tokio::time::timeout(Duration::from_secs(5), guard.finish())
        .await
        .unwrap();
}
