//! etcd stopped for 10 seconds, frozen and killed: submits are refused honestly, analyses go on, and all goes on by itself.

use std::time::Duration;

use lepton_tests::mesh::Cluster;
use lepton_tests::rest::{Answer, Rest};
use lepton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::audit::text;
use crate::deaths::{SIZES, account, gateways};
use crate::load::{Load, Plan};
use crate::serial::{PATIENCE, Watch, exclusive};

/// How long etcd is away.
const AWAY: Duration = Duration::from_secs(10);
/// From etcd's return to the first acknowledgement, on a busy machine.
const RECOVERY_MAX: Duration = Duration::from_secs(20);

const ROWS: &str = r#"{"data":[{"a":1,"b":2},{"a":2,"b":4},{"a":3,"b":6}]}"#;

async fn submit(rest: &Rest, request: &str) -> Answer {
    let body = json!({"kind": "echo", "input": 1, "requestId": request}).to_string();
    rest.post("/api/v1/tasks", body).await
}

/// While etcd is away: every submit is refused with a reason, every analysis is answered.
async fn honest(rest: &Rest, away: Watch) -> (u32, u32) {
    let (mut refused, mut analysed) = (0, 0);
    while away.elapsed() < AWAY {
        let answer = submit(rest, "while-away").await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(
            answer.reason().as_deref(),
            Some("JOURNAL_UNAVAILABLE"),
            "{}",
            answer.text()
        );
        assert!(answer.detail("RetryInfo").is_some(), "{}", answer.text());
        refused += 1;
        let answer = rest.post("/api/v1/analyze", ROWS).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["rowCount"], 3);
        analysed += 1;
        assert_eq!(rest.get("/livez").await.status, 200, "it lives");
    }
    (refused, analysed)
}

async fn outage(stop: fn(&mut Cluster), back: impl AsyncFnOnce(&mut Cluster), what: &str) {
    let _exclusive = exclusive().await;
    let mut cluster = Cluster::start(SIZES).await;
    let rest = cluster.rest(0);
    let load = Load::start(
        &gateways(&cluster),
        Plan {
            rest: Duration::from_millis(200),
            ..Plan::FULL
        },
    );
    load.reached(1_000).await;
    stop(&mut cluster);
    let (refused, analysed) = honest(&rest, Watch::start()).await;
    back(&mut cluster).await;
    let watch = Watch::start();
    let first = eventually(PATIENCE, || async {
        let answer = submit(&rest, "while-away").await;
        (answer.status == 200).then(|| answer.json())
    });
    let first: Value = first.await;
    let recovery = watch.elapsed();
    let mut tally = load.done().await;
    tally
        .tasks
        .insert("while-away".to_owned(), text(&first, "id").to_owned());
    account(&cluster, &rest, &tally).await;
    println!("etcd {what}: {refused} submits refused, {analysed} analyses answered, acknowledged {recovery:.1?} after");
    assert!(refused > 1 && analysed > 1, "both were tried while etcd was away");
    assert!(recovery < RECOVERY_MAX, "{recovery:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_is_frozen() {
    outage(
        |cluster| cluster.etcd.freeze(0),
        async |cluster: &mut Cluster| cluster.etcd.thaw(0),
        "frozen",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_dies() {
    outage(
        |cluster| cluster.etcd.kill(0),
        async |cluster: &mut Cluster| cluster.etcd.restart(0).await,
        "killed",
    )
    .await;
}
