//! `lepton journal`: the same through the gateway and from etcd itself, also when only etcd is left.

use std::time::Duration;

use lepton_core::context::Context;
use lepton_tests::etcd::RealEtcd;
use lepton_tests::mesh::{Options, Up};
use lepton_tests::wait::eventually;
use serde_json::Value;

use super::words;
use crate::shared_mesh::shared;

/// How long a journal may move on between two reads.
const QUIET_MAX: Duration = Duration::from_secs(30);

async fn up_on(etcd: &RealEtcd) -> Up {
    let url = format!("http://{}", etcd.endpoints()[0]);
    let options = Options {
        workers: 1,
        more: vec!["--etcd".to_owned(), url],
        ..Options::default()
    };
    Up::start(options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_read_the_same_and_a_breach_exits_1() {
    let etcd = RealEtcd::start(1).await;
    let mut up = up_on(&etcd).await;
    for input in ["1", r#"{"fail_times":1}"#, "[2]"] {
        words(&up.gateway, &format!("task submit echo {input} --wait"))
            .await
            .exits(0);
    }
    let direct = format!("--etcd http://{}", etcd.endpoints()[0]);
    for read in ["journal status", "journal verify", "journal dump"] {
        for format in ["json", "table"] {
            let same = || async {
                let asked = words(&up.gateway, &format!("{read} --output {format}")).await.body();
                let seen = words("http://127.0.0.1:1", &format!("{read} {direct} --output {format}")).await;
                !asked.is_empty() && asked == seen.body()
            };
            eventually(QUIET_MAX, same).await;
        }
    }
    let verified = words(&up.gateway, "journal verify --output json").await.json();
    assert_eq!(verified["ok"], true);
    assert_eq!(
        (&verified["taskCount"], &verified["succeededCount"]),
        (&"3".into(), &"3".into()),
        "{verified}"
    );

    // Nothing is left but the store.
    up.process.terminate();
    assert!(up.process.end().await.success(), "it drains");
    words("http://127.0.0.1:1", &format!("journal verify {direct}"))
        .await
        .exits(0);
    damage(&etcd, 2).await;
    let breach = words("http://127.0.0.1:1", &format!("journal verify {direct} --output json")).await;
    let found: Value = serde_json::from_str(&breach.exits(1).stdout).expect("what was found");
    assert_eq!(found["ok"], false);
    assert!(
        found["breaches"]
            .as_array()
            .is_some_and(|breaches| !breaches.is_empty()),
        "{found}"
    );
    let table = words("http://127.0.0.1:1", &format!("journal verify {direct}"))
        .await
        .exits(1);
    assert!(
        table.stdout.contains("segment 2") || table.stdout.contains("checksum"),
        "{table:?}"
    );
    // The neighbour's journal has nothing to do with it.
    words(
        "http://127.0.0.1:1",
        &format!("journal verify {direct} --cluster other"),
    )
    .await
    .exits(0);
}

/// Flips a bit of a segment.
async fn damage(etcd: &RealEtcd, segment: u64) {
    let etcd = etcd.connect(&Context::system(), "lepton");
    let key = etcd.keys().segment(segment);
    let found = etcd.get(key.clone()).await.expect("etcd answers").expect("it is there");
    let mut bytes = found.value().to_vec();
    bytes[20] ^= 4;
    let put = etcd_client::TxnOp::put(key, bytes, None);
    etcd.txn(Vec::new(), vec![put], Vec::new())
        .await
        .expect("etcd takes it");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_output_is_the_rest_body() {
    let up = shared().await;
    for (line, path) in [
        ("journal status", "/api/v1/journal"),
        ("journal verify", "/api/v1/journal:verify"),
    ] {
        let same = || async {
            let rest = up.rest().get(path).await;
            words(&up.gateway, &format!("{line} --output json")).await.body() == String::from_utf8_lossy(&rest.body)
        };
        eventually(QUIET_MAX, same).await;
    }
    let events = up.rest().events("/api/v1/journal:dump?limit=5").await.rest().await;
    let events: Vec<String> = events.into_iter().map(|event| event.data).collect();
    let dump = words(&up.gateway, "journal dump --limit 5 --output json").await.body();
    assert_eq!(dump.lines().collect::<Vec<_>>(), events);
    words(&up.gateway, "task submit echo 1 --wait").await.exits(0);
    let status = words(&up.gateway, "journal status --output json").await.json();
    let last = status["lastSegment"].as_str().expect("a number");
    let line = format!("journal dump --from-segment {last} --limit 1 --output json");
    assert_eq!(words(&up.gateway, &line).await.json()["segment"], last);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_words_and_not_fields() {
    let up = shared().await;
    words(&up.gateway, "task submit echo 1 --wait").await.exits(0);
    let status = words(&up.gateway, "journal status").await.body();
    let verified = words(&up.gateway, "journal verify").await.body();
    for begin in [
        "Leader",
        "Events",
        "Segments",
        "Snapshot",
        "Tasks",
        "State",
        "Incarnation",
    ] {
        assert!(status.lines().any(|line| line.starts_with(begin)), "{begin}: {status}");
    }
    assert!(
        status.contains("in epoch 1") && status.contains("committed, the last at"),
        "{status}"
    );
    assert!(verified.starts_with("The journal keeps every promise"), "{verified}");
    for text in [status, verified] {
        // Names of JSON fields, and numbers of bytes that nobody can read.
        for field in ["Segment\n", "lastSegment", "taskCount", "journalTime", "ok "] {
            assert!(!text.contains(field), "{field}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_is_not_there_is_unavailable() {
    let up = shared().await;
    for read in ["status", "verify", "dump"] {
        let line = format!("journal {read} --etcd http://127.0.0.1:1");
        let output = words(&up.gateway, &line).await.refused(3, "JOURNAL_UNAVAILABLE");
        output.advises("etcd");
        let line = format!("journal {read} --etcd ftp://127.0.0.1:1");
        words(&up.gateway, &line).await.refused(2, "CONFIG_INVALID");
    }
}
