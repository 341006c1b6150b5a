//! Requests that are well or badly formed, and how they are counted.

use lepton_proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use lepton_proto::inference::{ModelInferRequest, ServerLiveRequest};

use super::*;

const TEXT: &str = "content-type: application/grpc-web-text\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_transfer_is_the_clients_error() {
    let gateway = Running::start(|_| {}).await;
    for path in ["/api/v1/tasks", "/api/v1/analyze"] {
        // What arrives is the beginning of a JSON object: only the transfer is wrong.
        for chunk in ["zz\r\n", "5\r\n{\"d", "3\r\n{\"data\r\n"] {
            let head =
                format!("POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n");
            let mut stream = Net::Os.connect(&gateway.address).await.expect("connected");
            stream
                .write_all(format!("{head}{chunk}").as_bytes())
                .await
                .expect("sent");
            stream.shutdown().await.expect("this side is done");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("read");
            assert!(
                answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
                "{path} {chunk:?}: {answer}"
            );
            assert!(
                answer.contains(r#""reason":"FIELD_INVALID""#),
                "{path} {chunk:?}: {answer}"
            );
        }
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_host_is_refused_in_the_callers_form() {
    let gateway = Running::start(|_| {}).await;
    for hosts in ["", "host: x\r\nhost: y\r\n", "host: a b\r\n"] {
        let answer = gateway
            .raw(format!("GET / HTTP/1.1\r\n{hosts}connection: close\r\n\r\n").as_bytes())
            .await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{hosts}: {answer}");
        assert!(answer.contains(r#""reason":"FIELD_INVALID""#), "{hosts}: {answer}");
        let answer = gateway
            .raw(format!("GET /v2 HTTP/1.1\r\n{hosts}connection: close\r\n\r\n").as_bytes())
            .await;
        assert!(answer.contains("lepton-reason: FIELD_INVALID"), "{hosts}: {answer}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_web_text_takes_padding_inside_and_answers_in_text() {
    let gateway = Running::start(|_| {}).await;
    let call = async |body: &str| {
        gateway
            .http("POST /inference.GRPCInferenceService/ServerLive", TEXT, body)
            .await
    };
    // An empty message, whole and in two chunks that are padded each.
    for body in ["AAAAAAA=", "AA==AAAAAA=="] {
        let answer = call(body).await;
        assert!(
            answer.contains("content-type: application/grpc-web-text+proto\r\n"),
            "{body}: {answer}"
        );
        let text = answer.split("\r\n\r\n").nth(1).expect("a body");
        // The body is chunked: a line of base64 follows each length.
        let decoded: Vec<u8> = text
            .lines()
            .skip(1)
            .step_by(2)
            .flat_map(|line| STANDARD.decode(line).unwrap_or_default())
            .collect();
        // live = true, then the trailers.
        assert!(decoded.starts_with(&[0, 0, 0, 0, 2, 8, 1]), "{body}: {decoded:?}");
        assert!(
            String::from_utf8_lossy(&decoded).contains("grpc-status:0"),
            "{body}: {decoded:?}"
        );
    }
    let answer = call("no base64!").await;
    assert!(
        answer.contains("content-type: application/grpc-web-text+proto\r\n"),
        "{answer}"
    );
    assert!(answer.contains("grpc-status: 3\r\n"), "{answer}");
    // Another method, another type: in gRPC-Web's form too.
    let path = "/inference.GRPCInferenceService/ServerLive";
    let answer = gateway.http(&format!("GET {path}"), TEXT, "").await;
    assert!(answer.contains("grpc-status: 12\r\n"), "{answer}");
    let json = "content-type: application/grpc-web+json\r\n";
    let answer = gateway.http(&format!("POST {path}"), json, "{}").await;
    assert!(
        answer.contains("content-type: application/grpc-web+proto\r\n"),
        "{answer}"
    );
    assert!(answer.contains("grpc-status: 3\r\n"), "{answer}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_is_called_by_its_name() {
    let gateway = Running::start(|_| {}).await;
    let cases = [
        ("\u{feff}{\"data\":[{\"a\":1}]}", "byte order mark"),
        ("{\0}\0", "UTF-16"),
        ("{\"a\":1}\n{\"a\":2}\n", "NDJSON"),
        ("a,b\n1,2\n", "CSV"),
    ];
    for path in ["/api/v1/tasks", "/api/v1/tasks:batchSubmit", "/api/v1/models/m:deploy"] {
        for (body, cause) in cases {
            let answer = gateway.http(&format!("POST {path}"), "", body).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{path} {cause}: {answer}");
            assert!(answer.contains(cause), "{path} {cause}: {answer}");
            assert!(
                answer.contains(r#""reason":"INVALID_JSON""#),
                "{path} {cause}: {answer}"
            );
        }
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_requests_are_counted_by_their_route() {
    let gateway = Running::start(|_| {}).await;
    gateway.http("POST /api/v1/tasks", "", "not json").await;
    gateway
        .http("POST /api/v1/tasks", "origin: https://evil.example\r\n", "{}")
        .await;
    gateway
        .http("POST /api/v1/models/m:deploy", "grpc-timeout: 0m\r\n", "{}")
        .await;
    gateway
        .http("POST /v2/models/m/infer", "grpc-timeout: 0m\r\n", "{}")
        .await;
    let text = gateway.metrics.text().expect("text");
    for (method, code) in [
        ("POST /api/v1/tasks", "400"),
        ("POST /api/v1/tasks", "403"),
        ("POST /api/v1/models/{name}:deploy", "504"),
        ("POST /v2/models/{model}/infer", "504"),
    ] {
        let counted = format!("lepton_requests_total{{service=\"gateway\",method=\"{method}\",code=\"{code}\"}} 1\n");
        assert!(text.contains(&counted), "{counted}: {text}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_by_their_code_in_every_dialect() {
    let gateway = Running::start(|_| {}).await;
    let service = "inference.GRPCInferenceService";
    let binary = "content-type: application/grpc-web+proto\r\n";
    for (kind, empty) in [(binary, "\0\0\0\0\0"), (TEXT, "AAAAAAA=")] {
        gateway.http(&format!("POST /{service}/ServerLive"), kind, empty).await;
        gateway.http(&format!("POST /{service}/ModelInfer"), kind, empty).await;
    }
    let mut grpc = GrpcInferenceServiceClient::new(gateway.channel());
    grpc.server_live(ServerLiveRequest {}).await.expect("live");
    let refused = grpc.model_infer(ModelInferRequest::default()).await;
    assert_eq!(refused.expect_err("no model").code(), tonic::Code::InvalidArgument);
    drop(grpc);
    gateway.http("GET /api/v1/tasks", "", "").await;
    gateway.http("GET /v2/health/live", "", "").await;
    gateway.http("POST /v2/models/m/infer", "", "[]").await;
    let metrics = gateway.metrics.clone();
    gateway.stop().await;

    let text = metrics.text().expect("text");
    let counted = |line: String| assert!(text.contains(&line), "{line}: {text}");
    for (method, code, count) in [
        (&*format!("/{service}/ServerLive"), "OK", 3),
        (&*format!("/{service}/ModelInfer"), "INVALID_ARGUMENT", 3),
        ("GET /api/v1/tasks", "503", 1),
        ("GET /v2/health/live", "200", 1),
        ("POST /v2/models/{model}/infer", "503", 1),
    ] {
        counted(format!(
            "lepton_requests_total{{service=\"gateway\",method=\"{method}\",code=\"{code}\"}} {count}\n"
        ));
    }
    for (method, code) in [("ServerLive", "OK"), ("ModelInfer", "INVALID_ARGUMENT")] {
        counted(format!(
            "lepton_rpc_server_call_duration_seconds_count{{service=\"gateway\",rpc_system_name=\"grpc\",\
             rpc_method=\"{service}/{method}\",rpc_status_code=\"{code}\"}} 3\n"
        ));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_request_id_comes_back() {
    let gateway = Running::start(|_| {}).await;
    for path in ["/", "/nope"] {
        let answer = gateway
            .http(&format!("GET {path}"), "x-request-id: mine-1\r\n", "")
            .await;
        assert!(answer.contains("x-request-id: mine-1\r\n"), "{answer}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_shutdown_on_answers_announce_the_end() {
    let gateway = Running::start(|config| config.edge.drain_notice = Duration::from_secs(1)).await;
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut kept = Net::Os.connect(&gateway.address).await.expect("connected");
    kept.write_all(request).await.expect("sent");
    let mut buffer = vec![0; 4_096];
    let length = kept.read(&mut buffer).await.expect("read");
    assert!(!String::from_utf8_lossy(&buffer[..length]).contains("connection: close"));
    gateway.shutdown.trigger();
    // New connections are still taken, and told; so is the one that was there.
    let fresh = gateway.raw(request).await;
    assert!(
        fresh.starts_with("HTTP/1.1 200 ") && fresh.contains("connection: close\r\n"),
        "{fresh}"
    );
    kept.write_all(request).await.expect("sent");
    let mut answer = String::new();
    kept.read_to_string(&mut answer).await.expect("read");
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close\r\n"),
        "{answer}"
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_page_may_read_why_it_was_refused() {
    let page = "https://page.example";
    let gateway = Running::start(|config| config.edge.allowed_origins = vec![page.to_owned()]).await;
    let answer = gateway
        .http("POST /api/v1/tasks", &format!("origin: {page}\r\n"), "not json")
        .await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(
        answer.contains(&format!("access-control-allow-origin: {page}\r\n")),
        "{answer}"
    );
    assert!(answer.contains("vary: origin\r\n"), "{answer}");
    assert_eq!(answer.matches("content-length: ").count(), 1, "{answer}");
    gateway.stop().await;
}
