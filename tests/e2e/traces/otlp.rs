//! Senders of one's own: any OpenTelemetry program may send its spans to the mesh.

use lepton_coordination::etcd::Etcd;
use lepton_coordination::registry::Directory;
use lepton_core::context::Context;
use lepton_mesh::collector::OTLP;
use lepton_tests::mesh::Up;
use lepton_tests::rest::Rest;
use lepton_tests::wait::eventually;
use serde_json::json;

use super::{ARRIVAL_MAX, fresh, spans};
use crate::shared_mesh::shared;

/// Where the mesh takes traces, as its instances learn it.
pub async fn receiver(up: &Up) -> Rest {
    let context = Context::system();
    let etcd = Etcd::connect(&context, &[format!("http://{}", up.etcd)], "lepton");
    let directory = Directory::start(etcd, Some("monitor"), &context);
    let view = directory.view();
    let address = eventually(ARRIVAL_MAX, || async {
        let monitors = view.borrow();
        monitors
            .values()
            .find_map(|monitor| monitor.metadata.get(OTLP).cloned())
    });
    Rest::at(&format!("http://{}", address.await))
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_others_stand_beside_the_meshs_own() {
    let up = shared().await;
    let (receiver, trace) = (receiver(&up).await, fresh(31));
    let value = |text: &str| json!({"stringValue": text});
    let message = json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": value("shop")}]},
        "scopeSpans": [{"spans": [{
            "traceId": trace, "spanId": "00000000000000aa", "name": "checkout", "kind": 3,
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000250000000",
            "status": {"code": 2, "message": "declined"},
            "attributes": [{"key": "cart", "value": {"intValue": "3"}}],
        }]}],
    }]});
    assert_eq!(receiver.submit("/v1/traces", &message).await, json!({}));
    let shown = spans(&up.rest(), &trace, |spans| !spans.is_empty()).await;
    let span = &shown[0];
    assert_eq!((&span["service"], &span["name"]), (&json!("shop"), &json!("checkout")));
    assert_eq!((&span["failed"], &span["message"]), (&json!(true), &json!("declined")));
    assert_eq!(
        (&span["durationUs"], &span["attributes"]["cart"]),
        (&json!("250000"), &json!("3"))
    );
    let whole = up.rest().get(&format!("/api/v1/traces/{trace}")).await.json();
    assert_eq!(
        (&whole["failed"], &whole["startTime"]),
        (&json!(true), &json!("2023-11-14T22:13:20Z"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_signals_are_refused() {
    let up = shared().await;
    let receiver = receiver(&up).await;
    let answer = receiver.post("/v1/metrics", "{}").await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("takes traces"), "{}", answer.text());
}
