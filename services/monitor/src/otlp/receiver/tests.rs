//! The listener as senders meet it.

use std::io::Write as _;

use axum::body::to_bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use lepton_core::context::Context;
use lepton_core::net::Net;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tonic::Code;
use tonic::codec::CompressionEncoding::Gzip;
use tower::ServiceExt as _;

use super::*;
use crate::otlp::size_guard::tests::request;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn receiver() -> OtlpReceiver {
    let config = config::Otlp {
        message_bytes_max: 10_000,
        message_spans_max: 3,
        ..config::Otlp::default()
    };
    OtlpReceiver::new(Traces::new(config::Traces::default(), &Context::system()), config)
}

fn message(spans: u64) -> ExportTraceServiceRequest {
    let trace = u128::from_str_radix(TRACE, 16).unwrap();
    let span = |id: u64| Span {
        trace_id: trace.to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        name: "works".to_owned(),
        ..Span::default()
    };
    request((1..=spans).map(span).collect())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Posts a body; gives status, content type and body of the answer.
async fn post_to(
    receiver: &OtlpReceiver,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (u16, String, Vec<u8>) {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body)).unwrap();
    let response = router(receiver.clone()).oneshot(request).await.unwrap();
    let kind = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, kind, body.to_vec())
}

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

fn kept(receiver: &OtlpReceiver) -> u32 {
    receiver.traces.get(TRACE).map_or(0, |trace| trace.span_count)
}

#[tokio::test]
async fn http_takes_protobuf_and_json_plain_and_gzip() {
    let gzipped = ("content-encoding", "gzip");
    let json = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{TRACE}","spanId":"00000000000000aa"}}]}}]}}]}}"#
    );
    let (first, second) = (receiver(), receiver());
    let answer = post_to(&first, "/v1/traces", &[PROTOBUF], message(2).encode_to_vec()).await;
    assert_eq!(answer, (200, "application/x-protobuf".to_owned(), Vec::new()));
    let answer = post_to(
        &first,
        "/v1/traces",
        &[PROTOBUF, gzipped],
        gzip(&message(3).encode_to_vec()),
    )
    .await;
    assert_eq!((answer.0, kept(&first)), (200, 3), "what was there already counts once");
    let answer = post_to(&second, "/v1/traces", &[JSON], json.clone().into_bytes()).await;
    assert_eq!(answer, (200, "application/json".to_owned(), b"{}".to_vec()));
    let charset = ("content-type", "application/json; charset=utf-8");
    let answer = post_to(&second, "/v1/traces", &[charset, gzipped], gzip(json.as_bytes())).await;
    assert_eq!((answer.0, kept(&second)), (200, 1));
}

#[tokio::test]
async fn rejected_spans_of_a_message_are_reported() {
    let receiver = receiver();
    let (status, _, body) = post_to(&receiver, "/v1/traces", &[PROTOBUF], message(5).encode_to_vec()).await;
    let partial = ExportTraceServiceResponse::decode(&*body)
        .unwrap()
        .partial_success
        .unwrap();
    assert_eq!((status, partial.rejected_spans, kept(&receiver)), (200, 2, 3));
    let json = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"00","spanId":"01"}]}]}]}"#;
    let (_, _, body) = post_to(&receiver, "/v1/traces", &[JSON], json.to_vec()).await;
    let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["partialSuccess"]["rejectedSpans"], "1");
    assert_eq!(
        answer["partialSuccess"]["errorMessage"],
        "traceId has 1 bytes or is zero"
    );
}

#[tokio::test]
async fn bad_messages_are_refused_in_the_form_of_the_request() {
    let receiver = receiver();
    let (status, kind, body) = post_to(&receiver, "/v1/traces", &[PROTOBUF], vec![0xff; 20]).await;
    assert_eq!((status, &*kind), (400, "application/x-protobuf"));
    // `google.rpc.Status` begins with its code: field 1, INVALID_ARGUMENT.
    assert_eq!(body[..2], [8, 3]);
    let (status, kind, body) = post_to(&receiver, "/v1/traces", &[JSON], b"{".to_vec()).await;
    let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &*kind, &answer["code"]), (400, "application/json", &3.into()));
    let text = ("content-type", "text/plain");
    let zstd = ("content-encoding", "zstd");
    let gzip = ("content-encoding", "gzip");
    assert_eq!(post_to(&receiver, "/v1/traces", &[text], Vec::new()).await.0, 415);
    assert_eq!(post_to(&receiver, "/v1/traces", &[], Vec::new()).await.0, 415);
    assert_eq!(
        post_to(&receiver, "/v1/traces", &[PROTOBUF, zstd], Vec::new()).await.0,
        415
    );
    assert_eq!(
        post_to(&receiver, "/v1/traces", &[PROTOBUF, gzip], b"no gzip".to_vec())
            .await
            .0,
        400
    );
    assert_eq!(kept(&receiver), 0);
}

#[tokio::test]
async fn large_messages_are_refused_packed_or_not() {
    let receiver = receiver();
    let (status, _, body) = post_to(&receiver, "/v1/traces", &[JSON], vec![b' '; 10_001]).await;
    assert_eq!(status, 413, "{}", String::from_utf8_lossy(&body));
    let bomb = gzip(&vec![b' '; 50 << 20]);
    let (gzip, trickle) = (("content-encoding", "gzip"), &bomb[..9_000]);
    assert_eq!(
        post_to(&receiver, "/v1/traces", &[JSON, gzip], trickle.to_vec())
            .await
            .0,
        413
    );
}

#[tokio::test]
async fn messages_that_would_take_too_much_memory_are_refused_undecoded() {
    let receiver = receiver();
    // Within the length that is allowed, and hundreds of bytes for two.
    let mut crafted = message(1);
    crafted.resource_spans[0].scope_spans[0].spans = vec![Span::default(); 4_000];
    let bytes = crafted.encode_to_vec();
    assert!(bytes.len() < receiver.config.message_bytes_max);
    let (status, _, body) = post_to(&receiver, "/v1/traces", &[PROTOBUF], bytes).await;
    let text = String::from_utf8_lossy(&body).into_owned();
    assert!(status == 413 && text.contains("send fewer spans"), "{status} {text}");
    let spans = vec!["{}"; 3_000].join(",");
    let json = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#);
    assert_eq!(
        post_to(&receiver, "/v1/traces", &[JSON], json.into_bytes()).await.0,
        413
    );
    let refused = Status::from(
        receiver
            .export(Encoding::Protobuf, crafted.encode_to_vec().into())
            .await
            .unwrap_err(),
    );
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(
        receiver.decoding.available_permits(),
        10 * DECODING_MAX,
        "nothing is left behind"
    );
}

#[test]
fn room_is_reserved_by_length() {
    let headers = |pairs: &[(&'static str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        pairs.collect::<HeaderMap>()
    };
    assert_eq!(received_bytes(&headers(&[("content-length", "100")]), 1_000), 100);
    assert_eq!(received_bytes(&headers(&[("content-length", "9999")]), 1_000), 1_000);
    assert_eq!(
        received_bytes(&headers(&[]), 1_000),
        1_000,
        "who does not say counts in full"
    );
    assert_eq!(
        received_bytes(
            &headers(&[("content-length", "100"), ("content-encoding", "gzip")]),
            1_000
        ),
        1_100,
        "packed and unpacked"
    );
}

#[tokio::test]
async fn other_signals_and_paths_are_refused_clearly() {
    let receiver = receiver();
    for path in ["/v1/metrics", "/v1/logs", "/"] {
        let (status, _, body) = post_to(&receiver, path, &[PROTOBUF], Vec::new()).await;
        let text = String::from_utf8_lossy(&body).into_owned();
        assert!(
            status == 404 && text.contains("this receiver takes traces"),
            "{path}: {status} {text}"
        );
    }
    let request = Request::get("/v1/traces").body(Body::empty()).unwrap();
    assert_eq!(router(receiver.clone()).oneshot(request).await.unwrap().status(), 405);
    let grpc = Request::post("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export")
        .header(CONTENT_TYPE, "application/grpc")
        .body(Body::empty())
        .unwrap();
    let response = router(receiver).oneshot(grpc).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "12", "UNIMPLEMENTED");
}

#[tokio::test]
async fn grpc_is_taken_on_the_same_listener() {
    let receiver = receiver();
    let listener = Net::Os.bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().to_string();
    let shutdown = Shutdown::new();
    let running = run(
        listener,
        receiver.traces.clone(),
        receiver.config.clone(),
        shutdown.clone(),
    );
    let running = tokio::spawn(running);
    let mut client = TraceServiceClient::new(Net::Os.channel(&address)).send_compressed(Gzip);
    let answer = client.export(message(5)).await.unwrap().into_inner();
    assert_eq!(answer.partial_success.unwrap().rejected_spans, 2);
    assert_eq!(kept(&receiver), 3);
    let mut large = message(1);
    large.resource_spans[0].scope_spans[0].spans[0].name = "x".repeat(20_000);
    let refused = client.export(large).await.unwrap_err();
    assert!(
        matches!(refused.code(), Code::OutOfRange | Code::ResourceExhausted),
        "{refused}"
    );
    shutdown.trigger();
    running.await.unwrap().unwrap();
}
