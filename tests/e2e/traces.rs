//! Traces as their readers see them: one request, everything that was done for it, and nothing lost on the way.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use http::Method;
use lepton_tests::rest::{Answer, Rest};
use lepton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::shared_mesh::shared;

mod command;
mod monitors;
pub mod otlp;

/// How long spans may be on their way. They are sent within half a second; the machine may be busy.
const ARRIVAL_MAX: Duration = Duration::from_secs(20);
/// The span of the caller, who sends none.
const CALLER: &str = "00f067aa0ba902b7";

/// A trace id of this test alone.
fn fresh(number: u128) -> String {
    let process = u128::from(std::process::id());
    format!(
        "{:032x}",
        0x7e57_0000_0000_0000_0000_0000_0000_0000 | process << 16 | number
    )
}

/// Posts as a part of this trace, sampled.
async fn post(rest: &Rest, trace: &str, path: &str, body: &Value) -> Answer {
    let mut request = rest.request(Method::POST, path, body.to_string().into());
    let context = format!("00-{trace}-{CALLER}-01").parse().expect("plain text");
    request.headers_mut().insert("traceparent", context);
    let answer = rest.send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

/// Waits until the trace shows what is looked for; gives its spans.
async fn spans(rest: &Rest, trace: &str, is_there: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let path = format!("/api/v1/traces/{trace}");
    let found = eventually(ARRIVAL_MAX, || async {
        let answer = rest.get(&path).await;
        let spans = answer.json()["spans"].as_array().cloned().unwrap_or_default();
        is_there(&spans).then_some(spans)
    });
    found.await
}

/// The spans that are called so.
fn named<'a>(spans: &'a [Value], name: &str) -> Vec<&'a Value> {
    spans.iter().filter(|span| span["name"] == name).collect()
}

/// The only span of which this holds.
#[track_caller]
fn only(spans: &[Value], is_it: impl Fn(&Value) -> bool) -> &Value {
    let found: Vec<&Value> = spans.iter().filter(|span| is_it(span)).collect();
    assert_eq!(found.len(), 1, "{spans:#?}");
    found[0]
}

fn number(span: &Value, field: &str) -> u64 {
    let text = span[field].as_str().and_then(|text| text.parse().ok());
    text.unwrap_or_else(|| panic!("no {field}: {span}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_failed_once_shows_every_step() {
    let up = shared().await;
    let (rest, trace) = (up.rest(), fresh(1));
    let body = json!({"kind": "echo", "input": {"fail_times": 1}});
    let task = post(&rest, &trace, "/api/v1/tasks", &body).await.json();
    assert_eq!(task["traceId"], *trace);
    let wait = format!("/api/v1/tasks/{}:wait?timeout=30s", task["id"].as_str().unwrap());
    let task = rest.get(&wait).await.json();
    assert_eq!(
        (&task["state"], &task["attempts"]),
        (&json!("STATE_SUCCEEDED"), &json!(2))
    );

    let all = |spans: &[Value]| {
        let counts =
            ["journal commit", "queue wait", "process echo", "result commit"].map(|name| named(spans, name).len());
        counts == [1, 2, 2, 2] && spans.iter().any(|span| span["parentSpanId"] == CALLER)
    };
    let spans = spans(&rest, &trace, all).await;
    let edge = only(&spans, |span| span["parentSpanId"] == CALLER);
    assert_eq!(
        (&edge["service"], &edge["kind"]),
        (&json!("gateway"), &json!("SPAN_KIND_SERVER"))
    );
    assert_eq!(
        (&edge["name"], &edge["offsetUs"]),
        (&json!("POST /api/v1/tasks"), &json!("0"))
    );
    let attributes = &edge["attributes"];
    let expected = json!(["POST", "/api/v1/tasks", "200", "/api/v1/tasks"]);
    let shown = [
        "http.request.method",
        "http.route",
        "http.response.status_code",
        "url.path",
    ];
    assert_eq!(json!(shown.map(|key| &attributes[key])), expected);

    let ids: Vec<&Value> = spans.iter().map(|span| &span["spanId"]).collect();
    for span in spans.iter().filter(|span| *span != edge) {
        assert!(ids.contains(&&span["parentSpanId"]), "it hangs below another: {span}");
    }
    let attempts = named(&spans, "process echo");
    let (first, second) = match attempts[0]["attributes"]["lepton.attempt"] == "1" {
        true => (attempts[0], attempts[1]),
        false => (attempts[1], attempts[0]),
    };
    assert_eq!((&first["failed"], &second["failed"]), (&json!(true), &json!(false)));
    assert_eq!(
        (&first["service"], &second["service"]),
        (&json!("worker"), &json!("worker"))
    );
    assert_eq!(
        second["links"][0]["spanId"], first["spanId"],
        "a retry links to the attempt before"
    );
    assert!(number(first, "offsetUs") < number(second, "offsetUs"));
    let commit = named(&spans, "journal commit")[0];
    assert_eq!(
        (&commit["service"], &commit["parentSpanId"]),
        (&json!("scheduler"), &edge["spanId"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_is_named_by_its_route_and_marked() {
    let up = shared().await;
    let rest = up.rest();
    let refused = async |number: u128, path: &str, header: (&'static str, &str), body: &str| {
        let trace = fresh(number);
        let mut request = rest.request(Method::POST, path, body.to_owned().into());
        let context = format!("00-{trace}-{CALLER}-01").parse().expect("plain text");
        request.headers_mut().insert("traceparent", context);
        request
            .headers_mut()
            .insert(header.0, header.1.parse().expect("a header"));
        rest.send(request).await;
        let spans = spans(&rest, &trace, |spans| !spans.is_empty()).await;
        spans[0].clone()
    };
    let plain = ("x-nothing", "x");
    let span = refused(40, "/api/v1/tasks", plain, "not json").await;
    assert_eq!(
        (&span["name"], &span["failed"]),
        (&json!("POST /api/v1/tasks"), &json!(true)),
        "{span}"
    );
    assert_eq!(span["attributes"]["http.route"], "/api/v1/tasks", "{span}");
    assert_eq!(span["attributes"]["error.type"], "INVALID_JSON", "{span}");
    // Refused before anything has routed it.
    let span = refused(41, "/api/v1/tasks", ("origin", "https://evil.example"), "{}").await;
    assert_eq!(
        (&span["name"], &span["failed"]),
        (&json!("POST /api/v1/tasks"), &json!(true)),
        "{span}"
    );
    assert_eq!(span["attributes"]["error.type"], "ORIGIN_REFUSED", "{span}");
    // What is not there is nobody's error.
    let span = refused(42, "/api/v1/models/nope:deploy", plain, "{}").await;
    assert_eq!(
        (&span["name"], &span["failed"]),
        (&json!("POST /api/v1/models/{name}:deploy"), &json!(false)),
        "{span}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_contexts_are_none() {
    let up = shared().await;
    let rest = up.rest();
    let trace = fresh(43);
    let mut request = rest.request(
        Method::POST,
        "/api/v1/analyze",
        json!({"data": [{"a": 1}]}).to_string().into(),
    );
    for parent in [CALLER, "00f067aa0ba902b8"] {
        let context = format!("00-{trace}-{parent}-01").parse().expect("plain text");
        request.headers_mut().append("traceparent", context);
    }
    let report = rest.send(request).await.json();
    assert!(report["traceId"].is_string() && report["traceId"] != *trace, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_one_request_with_a_few_of_its_members() {
    let up = shared().await;
    let (rest, trace) = (up.rest(), fresh(7));
    let requests: Vec<Value> = (0..50).map(|input| json!({"kind": "echo", "input": input})).collect();
    let results = post(
        &rest,
        &trace,
        "/api/v1/tasks:batchSubmit",
        &json!({"requests": requests}),
    )
    .await;
    let tasks = results.json()["results"].as_array().cloned().unwrap_or_default();
    assert_eq!(tasks.len(), 50);
    for result in &tasks {
        let id = result["task"]["id"].as_str().expect("each was accepted");
        let done = rest.get(&format!("/api/v1/tasks/{id}:wait?timeout=30s")).await.json();
        assert_eq!(
            (&done["state"], &done["traceId"]),
            (&json!("STATE_SUCCEEDED"), &json!(trace))
        );
    }
    let steps = ["journal commit", "queue wait", "process echo", "result commit"];
    let all = |spans: &[Value]| steps.iter().all(|step| named(spans, step).len() >= 4);
    let spans = spans(&rest, &trace, all).await;
    let counts = steps.map(|step| named(&spans, step).len());
    assert_eq!(counts, [4; 4], "{spans:#?}");
    only(&spans, |span| span["parentSpanId"] == CALLER);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analysis_goes_from_the_gateway_to_a_worker() {
    let up = shared().await;
    let (rest, trace) = (up.rest(), fresh(2));
    let body = json!({"data": [{"a": 1}, {"a": 2}]});
    let report = post(&rest, &trace, "/api/v1/analyze", &body).await.json();
    assert_eq!(report["traceId"], *trace);

    let spans = spans(&rest, &trace, |spans| spans.len() >= 3).await;
    let method = "lepton.analysis.v1.AnalysisService/Analyze";
    let edge = only(&spans, |span| span["parentSpanId"] == CALLER);
    let call = only(&spans, |span| span["kind"] == "SPAN_KIND_CLIENT");
    let served = only(&spans, |span| {
        span["service"] == "worker" && span["kind"] == "SPAN_KIND_SERVER"
    });
    assert_eq!(
        (&call["parentSpanId"], &call["service"]),
        (&edge["spanId"], &json!("gateway"))
    );
    assert_eq!(served["parentSpanId"], call["spanId"]);
    for span in [call, served] {
        let attributes = &span["attributes"];
        assert_eq!(
            (&span["name"], &attributes["rpc.method"]),
            (&json!(method), &json!(method))
        );
        assert_eq!(attributes["rpc.system.name"], "grpc");
        assert_eq!(attributes["rpc.status_code"], "OK");
    }
    assert_eq!(call["attributes"]["server.address"], "worker");
    let order: Vec<&Value> = spans.iter().map(|span| &span["spanId"]).take(3).collect();
    assert_eq!(
        order,
        [&edge["spanId"], &call["spanId"], &served["spanId"]],
        "parents come first"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_are_listed_and_filtered() {
    let up = shared().await;
    let (rest, quick, slow) = (up.rest(), fresh(3), fresh(4));
    let echo = |input: Value| json!({"kind": "echo", "input": input});
    post(&rest, &quick, "/api/v1/tasks", &echo(json!(1))).await;
    // Far apart, so that a busy machine does not make the quick one slow.
    post(&rest, &slow, "/api/v1/tasks", &echo(json!({"delay_ms": 6_000}))).await;
    let listed = |query: &'static str| {
        let rest = rest.clone();
        async move {
            let answer = rest.get(&format!("/api/v1/traces?pageSize=1000{query}")).await.json();
            answer["traces"]
                .as_array()
                .cloned()
                .unwrap_or_else(|| panic!("no traces: {answer}"))
        }
    };
    let has = |traces: &[Value], id: &str| traces.iter().any(|trace| trace["traceId"] == id);
    let long = eventually(2 * ARRIVAL_MAX, || async {
        let all = listed("").await;
        let long = listed("&durationUsMin=5000000").await;
        (has(&all, &quick) && has(&all, &slow) && has(&long, &slow)).then_some(long)
    });
    assert!(!has(&long.await, &quick));
    let failed = listed("&failed=true").await;
    assert!(failed.iter().all(|trace| trace["failed"] == true), "{failed:?}");
    assert!(!has(&failed, &slow));
    let one = rest.get("/api/v1/traces?pageSize=1").await.json();
    assert_eq!(one["traces"].as_array().map(Vec::len), Some(1));
    assert_eq!(one["traces"][0]["spans"], json!([]), "summaries have no spans");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_kept_is_said_with_reasons() {
    let up = shared().await;
    let rest = up.rest();
    let answer = rest.get(&format!("/api/v1/traces/{}", fresh(5))).await;
    assert_eq!(
        (answer.status.as_u16(), answer.reason().as_deref()),
        (404, Some("TRACE_NOT_FOUND"))
    );
    for why in ["not sampled", "made room", "on their way"] {
        assert!(answer.text().contains(why), "{}", answer.text());
    }
    for bad in ["abc", &"F".repeat(32)] {
        assert_eq!(rest.get(&format!("/api/v1/traces/{bad}")).await.status, 400, "{bad}");
    }
    assert_eq!(rest.get("/api/v1/traces?pageSize=1001").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_the_names_of_the_conventions() {
    let up = shared().await;
    up.rest().submit("/api/v1/analyze", &json!({"data": [{"a": 1}]})).await;
    // A request is counted when its last byte has left, which its caller may see first.
    let count = |method: &str, rest: &str| format!("lepton_{method}_count{{service=\"gateway\",{rest}\"}} ");
    let http = "http_request_method=\"POST\",http_route=\"/api/v1/analyze\",url_scheme=\"http\",http_response_status_code=\"200";
    let http = count("http_server_request_duration_seconds", http);
    let text = eventually(ARRIVAL_MAX, || async {
        let answer = Rest::at(&up.admin).get("/metrics").await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        text.contains(&http).then_some(text)
    });
    let text = text.await;
    for name in [
        "lepton_rpc_server_call_duration_seconds",
        "lepton_telemetry_spans_dropped_total",
    ] {
        assert!(text.contains(&format!("# TYPE {name} ")), "{name}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_as_prometheus_wants_them() {
    let up = shared().await;
    let (rest, trace) = (up.rest(), fresh(6));
    post(&rest, &trace, "/api/v1/analyze", &json!({"data": [{"a": 1}]})).await;
    post(&rest, &trace, "/api/v1/tasks", &json!({"kind": "echo", "input": 1})).await;
    let answer = Rest::at(&up.admin).get("/metrics").await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let checked = tokio::task::spawn_blocking(move || promtool(&text)).await;
    let (succeeded, complaints) = checked.expect("nobody cancels it");
    assert!(succeeded && complaints.is_empty(), "{complaints}");
}

/// Runs `promtool check metrics`; returns its success and everything that it printed.
fn promtool(metrics: &str) -> (bool, String) {
    let mut checking = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("deploy/setup test installs promtool");
    let mut stdin = checking.stdin.take().expect("a pipe");
    stdin.write_all(metrics.as_bytes()).expect("it reads to the end");
    drop(stdin);
    let output = checking.wait_with_output().expect("it ends");
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
}
