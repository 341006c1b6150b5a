//! One port serves both protocols, survives its handlers and drains.

use std::time::Duration;

use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use http_body_util::StreamBody;
use lepton_domain::reason::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1alpha;

use super::*;
use crate::server::health::Readiness;
use crate::server::stack::{StackConfig, mount, mount_protocol};
use lepton_core::clock::Clock;
use lepton_core::error;
use lepton_core::metrics::Metrics;
use lepton_core::net::Net;
use lepton_core::shutdown::Shutdown;

mod drain;

/// A server with a few routes.
struct Running {
    address: String,
    readiness: Readiness,
    metrics: Metrics,
    shutdown: Shutdown,
    serving: JoinHandle<io::Result<()>>,
}

/// The health service under another name, which the layers do not treat apart, and with a small limit.
#[derive(Clone)]
struct Renamed<S>(HealthServer<S>);

impl<S> tonic::server::NamedService for Renamed<S> {
    const NAME: &'static str = "lepton.test.v1.TestService";
}

impl<S: tonic_health::pb::health_server::Health> Service<Request<Body>> for Renamed<S> {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = <HealthServer<S> as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let path = request
            .uri()
            .path()
            .replace("lepton.test.v1.TestService", "grpc.health.v1.Health");
        *request.uri_mut() = path.parse().unwrap();
        self.0.call(request)
    }
}

async fn start(limits: Limits) -> Running {
    let (readiness, shutdown, metrics) = (Readiness::new(), Shutdown::new(), Metrics::new());
    let draining = shutdown.clone();
    let health = health::service(readiness.clone(), &["lepton.test.v1.TestService"], shutdown.clone());
    let router = Router::new()
        .route("/panic", get(async || -> &'static str { panic!("boom") }))
        .route(
            "/slow",
            get(async || tokio::time::sleep(Duration::from_millis(300)).await),
        )
        .route("/", get(async || "hello"))
        // Still at work when the drain begins, and done soon after.
        .route("/until-drain", get(async move || draining.triggered().await))
        .route("/never", get(std::future::pending::<()>))
        .route("/web/unavailable", get(async || hidden_trailers("14")))
        .route("/web/ok", get(async || hidden_trailers("0")));
    let router = mount(router, Renamed(health.clone().max_decoding_message_size(64)));
    let router = reflection::mount_on(mount_protocol(router, health), &["lepton.test.v1.TestService"]);
    let config = StackConfig {
        form_of: |request| match request.uri().path().starts_with("/other/") {
            true => error::v2,
            false => refusal::form_by_content_type(request),
        },
        ..StackConfig::new("test", Clock::system(), metrics.clone())
    };
    let listener = Net::Os.bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().to_string();
    let serving = tokio::spawn(serve(listener, stack::apply(router, config), limits, shutdown.clone()));
    Running {
        address,
        readiness,
        metrics,
        shutdown,
        serving,
    }
}

/// An answer of gRPC that ends with this status, as a layer further out makes it one of gRPC-Web.
fn hidden_trailers(status: &'static str) -> Response<Body> {
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static(status))]);
    let frames = [Frame::data(Bytes::from_static(b"message")), Frame::trailers(trailers)];
    let frames = futures::stream::iter(frames.map(Ok::<_, Infallible>));
    let answer = stack::report_status(Response::new(Body::new(StreamBody::new(frames))));
    answer.map(|body| Body::from_stream(body.into_data_stream()))
}

impl Running {
    fn channel(&self) -> Channel {
        Net::Os.channel(&self.address)
    }

    async fn stop(self) {
        self.shutdown.trigger();
        tokio::time::timeout(Duration::from_secs(10), self.serving)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }

    /// The answer to an HTTP/1 request with these headers.
    async fn http(&self, path: &str, headers: &str) -> String {
        let mut stream = Net::Os.connect(&self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

fn check(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

/// Calls the renamed service.
async fn unary(channel: Channel, method: &'static str, request: HealthCheckRequest) -> Result<i32, tonic::Status> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<HealthCheckRequest, tonic_health::pb::HealthCheckResponse>::default();
    let path = http::uri::PathAndQuery::from_static(method);
    Ok(grpc
        .unary(tonic::Request::new(request), path, codec)
        .await?
        .into_inner()
        .status)
}

#[tokio::test]
async fn readiness_shows_on_the_port_and_watchers_are_let_go() {
    let server = start(Limits::default()).await;
    let mut client = HealthClient::new(server.channel());
    assert_eq!(client.check(check("")).await.unwrap().into_inner().status, 2);
    let mut watch = client
        .watch(check("lepton.test.v1.TestService"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2);
    server.readiness.set(true);
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
    assert_eq!(
        client.check(check("nobody")).await.unwrap_err().code(),
        tonic::Code::NotFound
    );
    server.shutdown.trigger();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2);
    assert!(watch.message().await.unwrap().is_none());
    server.stop().await;
}

#[tokio::test]
async fn errors_of_the_library_are_explained() {
    let server = start(Limits::default()).await;
    let large = check(&"x".repeat(100));
    let status = unary(server.channel(), "/lepton.test.v1.TestService/Check", large)
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status}");
    assert_eq!(error::from_status(&status).reason, Reason::RequestTooLarge);
    for path in [
        "/lepton.test.v1.TestService/Nothing",
        "/lepton.nobody.v1.NoService/Nothing",
    ] {
        let status = unary(server.channel(), path, check("")).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unimplemented, "{status}");
        assert_eq!(error::from_status(&status).reason, Reason::MethodNotAllowed);
    }
    assert_eq!(
        unary(server.channel(), "/lepton.test.v1.TestService/Check", check(""))
            .await
            .unwrap(),
        2
    );
    let text = server.metrics.text().unwrap();
    let counted =
        // The contract knows no such service.
        "lepton_requests_total{service=\"test\",method=\"_OTHER\",code=\"OK\"} 1\n";
    assert!(text.contains(counted), "{text}");
    assert!(!text.contains("NoService"), "{text}");
    server.stop().await;
}

#[tokio::test]
async fn a_status_in_the_body_is_counted() {
    let server = start(Limits::default()).await;
    let metrics = server.metrics.clone();
    for path in ["/web/ok", "/web/unavailable", "/web/ok"] {
        let answer = server.http(path, "content-type: application/grpc-web\r\n").await;
        assert!(
            answer.contains("message") && !answer.contains("grpc-status"),
            "{answer}"
        );
    }
    server.stop().await;
    let text = metrics.text().unwrap();
    for (code, count) in [("OK", 2), ("UNAVAILABLE", 1)] {
        let counted = format!("lepton_requests_total{{service=\"test\",method=\"_OTHER\",code=\"{code}\"}} {count}\n");
        assert!(text.contains(&counted), "{counted}: {text}");
    }
}

#[tokio::test]
async fn a_panic_is_answered_and_others_go_on() {
    let server = start(Limits::default()).await;
    let answer = server.http("/panic", "").await;
    assert!(
        answer.starts_with("HTTP/1.1 500 ") && answer.contains("\"reason\":\"INTERNAL\""),
        "{answer}"
    );
    assert!(server.http("/slow", "").await.starts_with("HTTP/1.1 200 "));
    server.stop().await;
}

#[tokio::test]
async fn a_deadline_ends_what_is_late() {
    let server = start(Limits::default()).await;
    for timeout in ["0m", "20m"] {
        let answer = server.http("/never", &format!("grpc-timeout: {timeout}\r\n")).await;
        assert!(
            answer.starts_with("HTTP/1.1 504 ") && answer.contains("DEADLINE_EXCEEDED"),
            "{answer}"
        );
    }
    let answer = server.http("/other/form", "grpc-timeout: 0m\r\n").await;
    assert!(answer.contains("lepton-reason: DEADLINE_EXCEEDED"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn silent_connections_are_ended_and_places_are_limited() {
    let limits = Limits {
        connections_max: 1,
        idle_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = start(limits).await;
    let mut silent = Net::Os.connect(&server.address).await.unwrap();
    // The second gets its place once the silent one has lost it.
    assert!(server.http("/slow", "").await.starts_with("HTTP/1.1 200 "));
    let mut rest = Vec::new();
    let _ = silent.read_to_end(&mut rest).await;
    server.stop().await;
}

#[tokio::test]
async fn requests_without_one_valid_host_are_refused() {
    let server = start(Limits::default()).await;
    let cases = [
        ("HTTP/1.1", "", "400"),
        ("HTTP/1.1", "host: x\r\nhost: x\r\n", "400"),
        ("HTTP/1.1", "host: a b\r\n", "400"),
        ("HTTP/1.1", "host: x:8000\r\n", "200"),
        ("HTTP/1.0", "", "200"),
    ];
    for (version, hosts, status) in cases {
        let mut stream = Net::Os.connect(&server.address).await.unwrap();
        let request = format!("GET / {version}\r\n{hosts}connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.get(9..12), Some(status), "{version} {hosts}: {answer}");
        assert!(
            status == "200" || answer.contains("\"reason\":\"FIELD_INVALID\""),
            "{answer}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn reflection_answers_what_is_not_there_and_goes_on() {
    let server = start(Limits::default()).await;
    let wanted = |message| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message),
    };
    let requests = [
        MessageRequest::FileContainingSymbol("lepton.Nope".into()),
        MessageRequest::ListServices(String::new()),
    ]
    .map(wanted);
    let mut client = ServerReflectionClient::new(server.channel());
    let stream = client
        .server_reflection_info(futures::stream::iter(requests.clone()))
        .await;
    let mut stream = stream.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap().message_response;
    assert!(
        matches!(&first, Some(MessageResponse::ErrorResponse(error)) if error.error_code == 5),
        "{first:?}"
    );
    let second = stream.message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = second else {
        panic!("no list: {second:?}")
    };
    assert!(list.service.iter().any(|it| it.name == "lepton.test.v1.TestService"));
    assert!(stream.message().await.unwrap().is_none());

    // The same over the older version.
    use v1alpha::server_reflection_response::MessageResponse as OlderResponse;
    let symbol = v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol("lepton.Nope".into());
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(symbol),
    };
    let requests = futures::stream::iter([request.clone(), request]);
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(server.channel());
    let mut stream = client.server_reflection_info(requests).await.unwrap().into_inner();
    for _ in 0..2 {
        let response = stream.message().await.unwrap().unwrap().message_response;
        assert!(matches!(&response, Some(OlderResponse::ErrorResponse(error)) if error.error_code == 5));
    }
    server.stop().await;
}
