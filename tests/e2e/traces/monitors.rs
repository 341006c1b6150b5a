//! Telemetry is not in the way: a collector gets the same spans, and requests do not mind dead monitors.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use lepton_tests::etcd::RealEtcd;
use lepton_tests::mesh::{Cluster, Sizes, Special};
use lepton_tests::otlp::{Frozen, Receiver};
use lepton_tests::rest::Rest;
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
    // Until it is found, what is sent to the first may be given up: so each look is at a request of its own.
    let numbers = AtomicU64::new(1_000);
    let trace = eventually(4 * ARRIVAL_MAX, || async {
        let trace = fresh(numbers.fetch_add(1, Relaxed).into());
        post(&rest, &trace, "/api/v1/analyze", &rows).await;
        let path = format!("/api/v1/traces/{trace}");
        let arrived = async {
            loop {
                let shown = rest.get(&path).await.json();
                if shown["spanCount"].as_u64() >= Some(3) {
                    return shown["spans"][0]["service"].clone();
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let first = tokio::time::timeout(Duration::from_secs(5), arrived).await.ok()?;
        assert_eq!(first, "gateway");
        Some(trace)
    })
    .await;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_reads_nothing_slows_and_fails_nobody() {
    let frozen = Frozen::start().await;
    let special = Special {
        environment: ["gateway", "scheduler", "worker"]
            .map(|service| (service, vec![("OTEL_EXPORTER_OTLP_ENDPOINT", frozen.url())]))
            .into(),
        ..Special::default()
    };
    let sizes = Sizes {
        gateways: 1,
        schedulers: 1,
        workers: 1,
        monitors: 1,
    };
    let mut cluster = Cluster::start_on(RealEtcd::start(1).await, sizes, special).await;
    let rest = cluster.rest(0);
    let clock = lepton_core::clock::Clock::system();
    let rows = json!({"data": [{"a": 1}, {"a": 2}]});
    let mut took = Vec::new();
    // Far more spans than wait anywhere.
    for number in 0..3_000 {
        let begun = clock.monotonic();
        post(&rest, &fresh(10_000 + number), "/api/v1/analyze", &rows).await;
        took.push(clock.monotonic() - begun);
    }
    let mean = |part: &[Duration]| part.iter().sum::<Duration>() / u32::try_from(part.len()).expect("few");
    let (first, last) = (mean(&took[..500]), mean(&took[2_500..]));
    assert!(frozen.connections() > 0, "it was sent to");
    assert!(
        last < 3 * first + Duration::from_millis(20),
        "{first:?} before, {last:?} after"
    );
    let longest = took.iter().max().expect("many");
    assert!(
        *longest < Duration::from_secs(2),
        "no request waited for it: {longest:?}"
    );
    let admin = &cluster.member("gateway", 0).admin;
    let text = Rest::at(admin).get("/metrics").await.text();
    assert!(
        text.contains("lepton_telemetry_spans_dropped_total{place=\"collector\"}"),
        "{text}"
    );
}
