//! The rules of JSON over REST: names, numbers, defaults, absent fields, encodings and what surrounds a body.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Method;
use lepton_core::net::Net;
use lepton_tests::rest::Answer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::shared_mesh::shared;

const ANALYZE: &str = "/api/v1/analyze";
const ROWS: &str = r#"{"data":[{"a":1,"b":"x"},{"a":3,"b":"y"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_numbers_and_what_is_undefined_is_absent() {
    let mesh = shared().await;
    let answer = mesh.rest().post(ANALYZE, ROWS).await;
    let text = answer.text();
    for number in [
        r#""mean":2,"#,
        r#""min":1,"#,
        r#""max":3,"#,
        r#""rowCount":2,"#,
        r#""missing":0,"#,
        r#""outliers":0,"#,
    ] {
        assert!(text.contains(number), "{number} in {text}");
    }
    assert!(
        !text.contains(".0,") && !text.contains(".0}"),
        "integral doubles without a fraction: {text}"
    );
    let figures = answer.json();
    let column = &figures["columns"][1];
    assert_eq!(column["type"], "COLUMN_TYPE_TEXT");
    for absent in ["mean", "stddev", "ci95", "quantiles", "outliers"] {
        assert!(column.get(absent).is_none(), "{absent}: {column}");
    }
    assert!(figures.get("fit").is_none());
    assert_eq!(
        (&figures["cleaned"], &figures["predictions"]),
        (&json!([]), &json!([])),
        "empty lists are printed"
    );
    let one = mesh.rest().post(ANALYZE, r#"{"data":[{"a":5,"b":5}]}"#).await;
    assert!(
        one.json()["columns"][0].get("stddev").is_none(),
        "one value has no deviation: {}",
        one.text()
    );
    assert!(
        one.json()["correlations"][0].get("r").is_none(),
        "nor a correlation: {}",
        one.text()
    );
    assert!(
        !one.text().contains("NaN") && !one.text().contains("null"),
        "{}",
        one.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_has_every_field_in_its_place() {
    let mesh = shared().await;
    let input = json!({"b": [1, 2.5, 1e300], "a": {"": null, "ü": "\u{1}\"\\"}});
    let body = format!(r#"{{"kind":"echo","input":{input}}}"#);
    let task = mesh.rest().post("/api/v1/tasks", body).await;
    let task = task.json();
    let names: Vec<&String> = task.as_object().expect("an object").keys().collect();
    for name in [
        "id",
        "tenant",
        "kind",
        "state",
        "input",
        "attempts",
        "requestId",
        "createTime",
        "traceId",
        "version",
    ] {
        assert!(task.get(name).is_some(), "{name} is printed: {names:?}");
    }
    for name in ["output", "outputBytes", "inputBytes", "error", "endTime"] {
        assert!(task.get(name).is_none(), "{name} is absent: {task}");
    }
    assert_eq!(
        (&task["tenant"], &task["labels"], &task["worker"]),
        (&json!("default"), &json!({}), &json!(""))
    );
    assert!(task["attempts"].is_u64(), "counts are numbers");
    assert!(
        task["version"]["epoch"].is_string() && task["version"]["seq"].is_string(),
        "64-bit integers are text"
    );
    assert_eq!(task["input"], input, "inputs come back as they were");
    assert!(!task["requestId"].as_str().expect("text").is_empty(), "filled in");
    let trace = task["traceId"].as_str().expect("text");
    assert!(
        trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{trace}"
    );
    let id = task["id"].as_str().expect("text");
    assert_eq!((id.len(), &id[14..15]), (36, "7"), "UUID version 7: {id}");
    let ended = mesh
        .rest()
        .get(&format!("/api/v1/tasks/{id}:wait?timeout=30s"))
        .await
        .json();
    for name in ["createTime", "startTime", "endTime"] {
        let time = ended[name].as_str().unwrap_or_else(|| panic!("{name}: {ended}"));
        assert!(
            time.ends_with('Z') && &time[10..11] == "T" && time.starts_with("20"),
            "RFC 3339 in UTC: {time}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_taken_in_both_forms() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let snake = json!({"kind": "echo", "input": 1, "request_id": "snake-case", "retry": {"max_attempts": 2}});
    let camel = json!({"kind": "echo", "input": 1, "requestId": "snake-case", "retry": {"maxAttempts": 2}});
    let first = rest.submit("/api/v1/tasks", &snake).await;
    assert_eq!(first["requestId"], "snake-case");
    assert_eq!(rest.submit("/api/v1/tasks", &camel).await["id"], first["id"]);
    for query in ["page_size=1", "pageSize=1"] {
        let page = rest.get(&format!("/api/v1/tasks?{query}")).await.json();
        assert_eq!(page["tasks"].as_array().map(Vec::len), Some(1), "{query}");
    }
    for state in ["STATE_SUCCEEDED", "4"] {
        assert_eq!(
            rest.get(&format!("/api/v1/tasks?pageSize=1&state={state}"))
                .await
                .status,
            200
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_print_defaults_and_names() {
    let mesh = shared().await;
    let nodes = lepton_tests::mesh::nodes(&mesh.rest()).await;
    let count = |service: &str| nodes.iter().filter(|node| node["service"] == service).count();
    assert_eq!(
        ["gateway", "scheduler", "worker", "monitor"].map(count),
        [1, 1, 2, 1],
        "{nodes:?}"
    );
    for node in &nodes {
        assert_eq!(node["state"], "NODE_STATE_READY", "{node}");
        assert!(
            node["leader"].is_boolean() && node["epoch"].is_string(),
            "defaults too are printed: {node}"
        );
    }
    let leads = nodes
        .iter()
        .find(|node| node["service"] == "scheduler" && node["leader"] == true);
    assert!(leads.is_some_and(|leader| leader["epoch"] != "0"), "{nodes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_content_type_and_gzip_are_taken() {
    let mesh = shared().await;
    let rest = mesh.rest();
    for kind in [
        Some("application/x-www-form-urlencoded"),
        Some("text/plain; charset=utf-8"),
        Some("image/png"),
        None,
    ] {
        let mut request = rest.request(Method::POST, ANALYZE, Bytes::from_static(ROWS.as_bytes()));
        request.headers_mut().remove("content-type");
        if let Some(kind) = kind {
            request
                .headers_mut()
                .insert("content-type", kind.parse().expect("a header"));
        }
        two_rows(&rest.send(request).await);
    }
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(ROWS.as_bytes()).expect("memory can be written");
    let packed = packer.finish().expect("memory can be written");
    let mut request = rest.request(Method::POST, ANALYZE, packed.into());
    request
        .headers_mut()
        .insert("content-encoding", "gzip".parse().expect("a header"));
    two_rows(&rest.send(request).await);
    let mut request = rest.request(Method::POST, ANALYZE, Bytes::from_static(ROWS.as_bytes()));
    request
        .headers_mut()
        .insert("content-encoding", "gzip".parse().expect("a header"));
    let broken = rest.send(request).await;
    assert_eq!(broken.status, 400, "what calls itself gzip must be: {}", broken.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_is_told_to_go_on() {
    let mesh = shared().await;
    let mut stream = Net::Os
        .connect(mesh.rest().authority())
        .await
        .expect("the gateway listens");
    let head = format!(
        "POST {ANALYZE} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        ROWS.len()
    );
    let exchange = async {
        stream.write_all(head.as_bytes()).await.expect("it is open");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.expect("an answer before the body is sent"));
        }
        assert!(
            answer.starts_with(b"HTTP/1.1 100 "),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        stream.write_all(ROWS.as_bytes()).await.expect("it is open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.contains(r#""rowCount":2"#),
            "{answer}"
        );
    };
    tokio::time::timeout(Duration::from_secs(30), exchange)
        .await
        .expect("in time");
}

/// A request as a newer client would send it: with a field that this mesh does not know.
#[derive(Clone, PartialEq, prost::Message)]
struct NewerRequest {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "900")]
    invention: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_fields_over_grpc_are_ignored() {
    let mesh = shared().await;
    let mut client = tonic::client::Grpc::new(mesh.channel());
    client.ready().await.expect("the gateway answers");
    let path = http::uri::PathAndQuery::from_static("/lepton.task.v1.TaskService/SubmitTask");
    let codec = tonic_prost::ProstCodec::<NewerRequest, lepton_proto::task::v1::SubmitTaskResponse>::default();
    let request = NewerRequest {
        kind: "echo".into(),
        invention: "of tomorrow".into(),
    };
    let answer = client
        .unary(tonic::Request::new(request), path, codec)
        .await
        .expect("it is taken")
        .into_inner();
    assert_eq!(answer.task.expect("a task").kind, "echo");
}

#[tokio::test(flavor = "multi_thread")]
async fn fixed_pages_answer() {
    let mesh = shared().await;
    let rest = mesh.rest();
    for path in [
        "/healthz",
        "/livez",
        "/readyz",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2",
    ] {
        assert_eq!(rest.get(path).await.status, 200, "{path}");
    }
    let links = rest.get("/").await.json();
    let links: Vec<&str> = links["links"]
        .as_object()
        .expect("links")
        .values()
        .filter_map(Value::as_str)
        .collect();
    assert!(links.contains(&"/openapi.json"), "{links:?}");
    let openapi = rest.get("/openapi.json").await.json();
    assert!(
        openapi["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with('3')),
        "OpenAPI 3"
    );
    for path in [
        ANALYZE,
        "/api/v1/tasks",
        "/api/v1/tasks/{id}",
        "/api/v1/nodes",
        "/api/v1/incidents",
        "/api/v1/models",
        "/api/v1/models/{name}:deploy",
        "/api/v1/blobs",
    ] {
        assert!(openapi["paths"].get(path).is_some(), "{path} is described");
    }
    let head = rest
        .send(rest.request(Method::HEAD, "/api/v1/nodes", Bytes::new()))
        .await;
    assert_eq!(
        (head.status.as_u16(), head.body.len()),
        (200, 0),
        "HEAD is GET without a body"
    );
}

#[track_caller]
fn two_rows(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json()["rowCount"], 2);
}
