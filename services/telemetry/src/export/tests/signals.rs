//! Traces, metrics and logs reach a collector, with encryption and without.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;
use tracing::info;

use super::*;

/// A collector that keeps what it is sent.
#[derive(Clone, Default)]
struct Double {
    spans: Arc<Mutex<Vec<Received>>>,
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
    logs: Arc<Mutex<Vec<ExportLogsServiceRequest>>>,
}

#[tonic::async_trait]
impl TraceService for Double {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let sent = request.into_inner().resource_spans.into_iter();
        let spans = sent.flat_map(|it| it.scope_spans).flat_map(|it| it.spans);
        self.spans.lock().unwrap().extend(spans);
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Double {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.metrics.lock().unwrap().push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Double {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.logs.lock().unwrap().push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

impl Double {
    fn router(&self) -> axum::Router {
        tonic::service::Routes::new(TraceServiceServer::new(self.clone()))
            .add_service(MetricsServiceServer::new(self.clone()))
            .add_service(LogsServiceServer::new(self.clone()))
            .into_axum_router()
    }

    /// Exports a span, a figure and a line to itself by these variables; then looks at what has come.
    async fn receives_everything(&self, variables: &[(&str, String)]) {
        let context = Context::system();
        context.metrics.counter("lepton_things_total", "Things", &[]).inc_by(7);
        let guard = started(named(variables), &context);
        let mut traced_id = String::new();
        traced(&guard, 1.0, || {
            let request = request("exported");
            request.in_scope(|| {
                info!(count = 3, "something happened");
                traced_id = crate::trace::trace_id().unwrap();
            });
        });
        guard.finish().await;
        let spans = self.spans.lock().unwrap();
        let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["exported"]);
        let metrics = self.metrics.lock().unwrap();
        let sent = &metrics[0].resource_metrics[0];
        let counted = |name: &str| sent.scope_metrics[0].metrics.iter().any(|metric| metric.name == name);
        assert!(counted("lepton_things_total") && counted("lepton_process_resident_bytes"));
        assert!(
            sent.resource
                .as_ref()
                .unwrap()
                .attributes
                .contains(&text("service.name", "lepton"))
        );
        let logs = self.logs.lock().unwrap();
        let record = &logs[0].resource_logs[0].scope_logs[0].log_records[0];
        assert_eq!(record.body, text("", "something happened").value);
        assert_eq!(record.severity_text, "INFO");
        let id: String = record.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(id, traced_id);
        assert_eq!(record.trace_id, spans[0].trace_id);
    }
}

#[tokio::test]
async fn all_signals_go_where_the_variables_say() {
    let double = Double::default();
    let listener = Net::Os.bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr());
    tokio::spawn(serve(listener, double.router(), Shutdown::new()));
    double
        .receives_everything(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)])
        .await;
}

#[tokio::test]
async fn a_collector_with_a_certificate_is_trusted_by_its_authority() {
    let double = Double::default();
    let (acceptor, authority) = certified();
    let listener = Net::Os.bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().port();
    let app = double.router();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(app.clone()));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority).unwrap();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("https://localhost:{port}")),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", file.display().to_string()),
    ];
    double.receives_everything(&variables).await;
}

/// A server's side of TLS, and the PEM of the authority that signed its certificate.
fn certified() -> (TlsAcceptor, String) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    (TlsAcceptor::from(Arc::new(config)), authority.pem())
}

#[tokio::test]
async fn authorities_that_cannot_be_read_are_no_collector() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:1".to_owned()),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/file.pem".to_owned()),
    ];
    assert!(named(&variables).traces.is_none());
}
