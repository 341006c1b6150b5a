//! One trace: what a request causes in every process carries the caller's trace id, and the spans hang together.

use http::Method;
use lepton_tests::etcd::RealEtcd;
use lepton_tests::mesh::{Cluster, Sizes, Special};
use lepton_tests::otlp::{Receiver, Sent};
use lepton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::audit::text;
use crate::serial::{PATIENCE, exclusive};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const UNSAMPLED: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "00f067aa0ba902b7";

/// A cluster that sends its traces to a receiver.
async fn observed() -> (Cluster, Receiver) {
    let receiver = Receiver::start().await;
    let tell = |service| (service, vec![("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url())]);
    let environment = ["gateway", "scheduler", "worker"].map(tell).into();
    let sizes = Sizes {
        gateways: 1,
        schedulers: 1,
        workers: 1,
        monitors: 0,
    };
    let special = Special {
        environment,
        ..Special::default()
    };
    (
        Cluster::start_on(RealEtcd::start(1).await, sizes, special).await,
        receiver,
    )
}

/// Sends a request as part of the caller's trace.
async fn call(cluster: &Cluster, path: &str, body: &Value) -> Value {
    call_in(cluster, &format!("00-{TRACE}-{CALLER}-01"), path, body).await
}

async fn call_in(cluster: &Cluster, context: &str, path: &str, body: &Value) -> Value {
    let rest = cluster.rest(0);
    let mut request = rest.request(Method::POST, path, body.to_string().into());
    let context = context.parse().expect("plain text");
    request.headers_mut().insert("traceparent", context);
    let answer = rest.send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Waits until the trace has a span like this.
async fn span(receiver: &Receiver, what: &str, is_it: impl Fn(&Sent) -> bool) -> Sent {
    let found = eventually(PATIENCE, || async { receiver.trace(TRACE).into_iter().find(&is_it) });
    let found = found.await;
    println!(
        "{what}: {} of {}, below {}",
        found.span.name,
        found.service,
        found.parent()
    );
    found
}

/// Whether a span is the ancestor of another, or the same.
fn is_above(receiver: &Receiver, above: &Sent, below: &Sent) -> bool {
    let spans = receiver.trace(TRACE);
    let mut at = Some(below.clone());
    while let Some(span) = at {
        if span.id() == above.id() {
            return true;
        }
        at = spans.iter().find(|other| other.id() == span.parent()).cloned();
    }
    false
}

fn began(sent: &Sent) -> u64 {
    sent.span.start_time_unix_nano
}

fn ended(sent: &Sent) -> u64 {
    sent.span.end_time_unix_nano
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_one_trace() {
    let _exclusive = exclusive().await;
    let (cluster, receiver) = observed().await;
    unsampled(&cluster).await;
    let task = call(
        &cluster,
        "/api/v1/tasks",
        &json!({"kind": "echo", "input": {"fail_times": 1}}),
    )
    .await;
    assert_eq!(text(&task, "traceId"), TRACE);
    let path = format!("/api/v1/tasks/{}:wait?timeout=30s", text(&task, "id"));
    let task = cluster.rest(0).get(&path).await.json();
    assert_eq!(
        (text(&task, "state"), &task["attempts"]),
        ("STATE_SUCCEEDED", &json!(2)),
        "{task}"
    );

    let attempt = |number: &'static str| {
        move |sent: &Sent| sent.service == "worker" && sent.attribute("lepton.attempt") == number
    };
    let edge = span(&receiver, "edge", |sent| {
        sent.service == "gateway" && sent.parent() == CALLER
    })
    .await;
    let first = span(&receiver, "first attempt", attempt("1")).await;
    let second = span(&receiver, "second attempt", attempt("2")).await;
    let of_leader = |name: &'static str, number: &'static str| {
        move |sent: &Sent| {
            sent.service == "scheduler" && sent.span.name == name && sent.attribute("lepton.attempt") == number
        }
    };
    let commit = span(&receiver, "commit", of_leader("journal commit", "")).await;
    let mut below = vec![first.clone(), second.clone(), commit.clone()];
    for (number, attempt) in [("1", &first), ("2", &second)] {
        let waited = span(&receiver, "wait", of_leader("queue wait", number)).await;
        let result = span(&receiver, "result", of_leader("result commit", number)).await;
        assert!(began(&commit) <= began(&waited), "it waits once it is committed");
        assert!(began(&waited) <= began(attempt), "an attempt waits before it begins");
        assert!(
            ended(attempt) <= ended(&result),
            "its result is committed when it has ended"
        );
        below.extend([waited, result]);
    }
    for below in &below {
        assert!(is_above(&receiver, &edge, below), "{below:?} hangs below the request");
    }
    assert!(first.links().is_empty(), "{:?}", first.links());
    assert_eq!(second.links(), [first.id()], "a retry links to the attempt before");
    assert_eq!(first.attribute("messaging.message.id"), text(&task, "id"));
    // It had ended before the other began, whose spans have arrived.
    assert_eq!(receiver.trace(UNSAMPLED), [], "nothing of a trace that is not sampled");
}

/// A task whose submitter does not sample.
async fn unsampled(cluster: &Cluster) {
    let context = format!("00-{UNSAMPLED}-{CALLER}-00");
    let task = call_in(cluster, &context, "/api/v1/tasks", &json!({"kind": "echo", "input": 7})).await;
    assert_eq!(text(&task, "traceId"), UNSAMPLED);
    let path = format!("/api/v1/tasks/{}:wait?timeout=30s", text(&task, "id"));
    assert_eq!(cluster.rest(0).get(&path).await.json()["state"], "STATE_SUCCEEDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analysis_is_one_trace() {
    let _exclusive = exclusive().await;
    let (cluster, receiver) = observed().await;
    let report = call(&cluster, "/api/v1/analyze", &json!({"data": [{"a": 1}, {"a": 2}]})).await;
    assert_eq!(text(&report, "traceId"), TRACE);
    let edge = span(&receiver, "edge", |sent| {
        sent.service == "gateway" && sent.parent() == CALLER
    })
    .await;
    let served = span(&receiver, "worker", |sent| sent.service == "worker").await;
    assert!(
        is_above(&receiver, &edge, &served),
        "the worker's span hangs below the request"
    );
    let strangers = receiver
        .trace(TRACE)
        .into_iter()
        .filter(|sent| sent.service == "scheduler")
        .count();
    assert_eq!(strangers, 0, "no scheduler on the online path");
}
