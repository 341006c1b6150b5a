//! A receiver of traces by OTLP over gRPC, which keeps what it is sent.
//!
//! Promises: it takes everything that a stock collector would; spans are found by their trace. Leaves what a trace should
//! look like to the tests.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use lepton_core::net::Net;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::task::JoinSet;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// A running receiver. It ends when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: String,
    kept: Kept,
    _task: JoinSet<()>,
}

/// A receiver that takes connections and never reads from them.
#[derive(Debug)]
pub struct Frozen {
    address: String,
    taken: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Frozen {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        let listener = Net::Os.bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().to_string();
        let taken = Arc::new(AtomicUsize::new(0));
        let count = taken.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _peer)) = listener.accept().await {
                held.push(stream);
                count.store(held.len(), Relaxed);
            }
        });
        Self {
            address,
            taken,
            _task: task,
        }
    }

    /// What services are told: the endpoint's URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections it holds.
    pub fn connections(&self) -> usize {
        self.taken.load(Relaxed)
    }
}

/// A span and who sent it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// `service.name` of the resource.
    pub service: String,
    /// The span.
    pub span: Span,
}

#[derive(Debug, Clone, Default)]
struct Kept {
    spans: Arc<Mutex<Vec<Sent>>>,
}

impl Receiver {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        let listener = Net::Os.bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().to_string();
        let kept = Kept::default();
        let service = TraceServiceServer::new(kept.clone());
        let incoming = futures::stream::unfold(listener, |listener| async move {
            let accepted = listener.accept().await.map(|(stream, _peer)| stream);
            Some((accepted, listener))
        });
        let mut task = JoinSet::new();
        task.spawn(async move {
            let served = Server::builder().add_service(service).serve_with_incoming(incoming);
            served.await.expect("the receiver serves until it is dropped");
        });
        Self {
            address,
            kept,
            _task: task,
        }
    }

    /// What services are told: the endpoint's URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans of a trace (32 hexadecimal digits) that have come so far, by the time of their start.
    pub fn trace(&self, id: &str) -> Vec<Sent> {
        let all = self.kept.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Sent> = all
            .iter()
            .filter(|sent| hex(&sent.span.trace_id) == id)
            .cloned()
            .collect();
        found.sort_by_key(|sent| sent.span.start_time_unix_nano);
        found
    }
}

impl Sent {
    /// An attribute as text; empty when it is not there.
    pub fn attribute(&self, key: &str) -> String {
        attribute(&self.span.attributes, key)
    }

    /// The span's id, 16 hexadecimal digits.
    pub fn id(&self) -> String {
        hex(&self.span.span_id)
    }

    /// The id of the span above it; empty for none.
    pub fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    /// The ids of the spans that it links to.
    pub fn links(&self) -> Vec<String> {
        self.span.links.iter().map(|link| hex(&link.span_id)).collect()
    }
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        for resource in request.into_inner().resource_spans {
            let attributes = resource
                .resource
                .map(|resource| resource.attributes)
                .unwrap_or_default();
            let service = attribute(&attributes, "service.name");
            let sent = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.extend(sent.map(|span| Sent {
                service: service.clone(),
                span,
            }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn attribute(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes
        .iter()
        .find(|pair| pair.key == key)
        .and_then(|pair| pair.value.clone());
    match found {
        Some(AnyValue {
            value: Some(Value::StringValue(text)),
        }) => text,
        Some(AnyValue {
            value: Some(Value::IntValue(number)),
        }) => number.to_string(),
        _ => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
