//! Telemetry is not in the way: a collector gets the same spans, and requests do not mind dead monitors.

use std::collections::BTreeSet;

use lepton_tests::etcd::RealEtcd;
use lepton_tests::mesh::{Cluster, Sizes, Special};
use lepton_tests::otlp::Receiver;
use lepton_tests::wait::eventually;
use serde_json::{Value, json};

use super::{ARRIVAL_MAX, fresh, post, spans};

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_the_same_spans_and_dead_monitors_disturb_nobody() {
    let receiver = Receiver::start().await;
    let tell = |service| (service, vec![("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url())]);
    let special = Special {
        environment: ["gateway", "scheduler", "worker"].map(tell).into(),
        ..Special::default()
    };
    let sizes = Sizes {
        gateways: 1,
        schedulers: 1,
        workers: 1,
        monitors: 2,
    };
    let mut cluster = Cluster::start_on(RealEtcd::start(1).await, sizes, special).await;
    let (rest, trace) = (cluster.rest(0), fresh(41));
    let rows = json!({"data": [{"a": 1}, {"a": 2}]});
    post(&rest, &trace, "/api/v1/analyze", &rows).await;
    let kept = spans(&rest, &trace, |spans| spans.len() >= 3).await;
    let kept: BTreeSet<String> = kept.iter().map(|span| text(&span["spanId"])).collect();
    eventually(ARRIVAL_MAX, || async {
        let sent = receiver.trace(&trace);
        sent.iter().map(|sent| sent.id()).collect::<BTreeSet<_>>() == kept
    })
    .await;

    // The second takes over; a request is in its memory alone.
    cluster.member("monitor", 0).process.kill();
    let trace = fresh(42);
    post(&rest, &trace, "/api/v1/analyze", &rows).await;
    let found = spans(&rest, &trace, |spans| spans.len() >= 3).await;
    assert_eq!(found[0]["service"], "gateway");

    cluster.member("monitor", 1).process.kill();
    for number in 0..50 {
        post(&rest, &fresh(100 + number), "/api/v1/analyze", &rows).await;
    }
    let task = post(&rest, &fresh(43), "/api/v1/tasks", &json!({"kind": "echo", "input": 1}))
        .await
        .json();
    let wait = format!("/api/v1/tasks/{}:wait?timeout=30s", text(&task["id"]));
    assert_eq!(rest.get(&wait).await.json()["state"], "STATE_SUCCEEDED");
    eventually(ARRIVAL_MAX, || async { !receiver.trace(&fresh(149)).is_empty() }).await;
    let answer = rest.get(&format!("/api/v1/traces/{trace}")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.reason().as_deref()),
        (503, Some("LEADER_UNAVAILABLE"))
    );
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
