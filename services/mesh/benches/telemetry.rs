//! The cost of telemetry for one request, on the thread that answers it.
//!
//! Promises: processor time of this thread, so that neither the export nor another program counts. Leaves the wire out:
//! requests are handed to the layers of a server as a value.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, criterion_group, criterion_main};
use http::{Request, Response};
use lepton_core::context::Context;
use lepton_domain::ids::InstanceId;
use lepton_mesh::server::stack::{self, StackConfig};
use lepton_telemetry::propagate::Propagate;
use lepton_telemetry::{self as telemetry, TelemetryConfig, TraceConfig, trace};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;
use tower::{ServiceExt, service_fn};
use tracing::{Instrument, info_span};

/// Processor time of the current thread.
struct ThreadTime;

impl Measurement for ThreadTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    }

    fn end(&self, start: Duration) -> Duration {
        self.start() - start
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// An online call: a span of its own, and a call to another service.
async fn online() -> String {
    let other_end = service_fn(|request: Request<Body>| {
        black_box(request.headers());
        let response = Response::builder()
            .header("grpc-status", "0")
            .body(tonic::body::Body::empty());
        std::future::ready(Ok::<_, Infallible>(response.expect("a valid answer")))
    });
    let call = async {
        let request = Request::post("/lepton.analysis.v1.AnalysisService/Analyze").body(Body::empty());
        let sent = Propagate::to("worker", other_end).oneshot(request.expect("a valid request"));
        sent.await.map(drop).unwrap_or_default();
        trace::trace_id().unwrap_or_default()
    };
    call.instrument(info_span!("model infer", model = "m", version = 1))
        .await
}

/// A submit: what the task is to carry along.
async fn submit() -> String {
    trace::traceparent().unwrap_or_default()
}

fn request(path: &str, traceparent: Option<&str>) -> Request<Body> {
    let mut request = Request::post(path).header("content-type", "application/json");
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent);
    }
    request.body(Body::empty()).expect("a valid request")
}

fn requests(bench: &mut Criterion<ThreadTime>) {
    let runtime = Runtime::new().expect("a runtime");
    let context = Context::system();
    let config = TelemetryConfig {
        trace: TraceConfig {
            ratio: 0.0,
            per_second: 0,
        },
        ..TelemetryConfig::default()
    };
    let instance = InstanceId::new("gateway-1");
    let guard = runtime.block_on(async { telemetry::init("gateway", &instance, &config, &context) });
    let router = Router::new()
        .route("/api/v1/analyze", post(online))
        .route("/api/v1/tasks", post(submit));
    let config = StackConfig::new("gateway", context.clock, context.metrics.clone());
    let router = stack::apply(router, config);
    let scope = telemetry::scope("gateway", &instance);
    let parents = [
        ("root", None),
        (
            "unsampled",
            Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
        ),
        (
            "sampled",
            Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ),
    ];
    for path in ["/api/v1/analyze", "/api/v1/tasks"] {
        let mut group = bench.benchmark_group(path.rsplit('/').next().unwrap_or(path));
        for (name, parent) in parents {
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    let answered = router.clone().oneshot(request(path, parent)).instrument(scope.clone());
                    black_box(runtime.block_on(answered)).map(drop).unwrap_or_default();
                });
            });
        }
        group.finish();
    }
    runtime.block_on(guard.finish());
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ThreadTime);
    targets = requests
}
criterion_main!(benches);
