//! Models while etcd, or every worker, is away, and models that no worker has room for.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use lepton_analysis::onnx::Linear;
use lepton_tests::etcd::RealEtcd;
use lepton_tests::mesh::{Cluster, Sizes, Special};
use lepton_tests::wait::eventually;

use super::{ask, deploy, file, files, push, refused, slope};

const SOON: Duration = Duration::from_secs(30);
const ONE_OF_EACH: Sizes = Sizes {
    gateways: 1,
    schedulers: 1,
    workers: 1,
    monitors: 0,
};

#[tokio::test(flavor = "multi_thread")]
async fn while_etcd_is_away_models_answer_and_the_registry_says_so() {
    let mesh = Cluster::start(ONE_OF_EACH).await;
    let rest = &mesh.rest(0);
    push(rest, "steady", 1.0).await;
    deploy(rest, "steady", 1).await;
    mesh.etcd.freeze(0);
    assert_eq!(slope(rest, "steady").await, 1.0);
    refused(&rest.get("/api/v1/models").await, 503, "JOURNAL_UNAVAILABLE");
    refused(&rest.get("/api/v1/models/steady").await, 503, "JOURNAL_UNAVAILABLE");
    let answer = rest.post("/api/v1/models/steady:push", file(2.0)).await;
    refused(&answer, 503, "JOURNAL_UNAVAILABLE");
    refused(&ask(rest, "unheard").await, 503, "JOURNAL_UNAVAILABLE");
    assert_eq!(slope(rest, "steady").await, 1.0);
    mesh.etcd.thaw(0);
    eventually(SOON, || async { rest.get("/api/v1/models").await.status == 200 }).await;
    assert_eq!(push(rest, "steady", 2.0).await["version"], 2);
    refused(&ask(rest, "unheard").await, 404, "MODEL_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_worker_a_push_and_a_deploy_are_refused_and_undone() {
    let mut mesh = Cluster::start(ONE_OF_EACH).await;
    let rest = mesh.rest(0);
    push(&rest, "alone", 1.0).await;
    mesh.member("worker", 0).process.kill();
    eventually(SOON, || async {
        let answer = rest.post("/api/v1/models/alone:push", file(2.0)).await;
        answer.reason().as_deref() == Some("NO_WORKER")
    })
    .await;
    let blobs = mesh.directory().join("blobs");
    eventually(SOON, || async { files(&blobs, "alone") == 1 }).await;
    // Until its entry has expired, the dead worker is waited for.
    let answer = rest.post("/api/v1/models/alone:deploy", "{}").await;
    refused(&answer, 503, "NO_WORKER");
    let model = rest.get("/api/v1/models/alone").await.json();
    assert_eq!(
        (&model["deployedVersion"], model["versions"].as_array().map(Vec::len)),
        (&0.into(), Some(1))
    );
    mesh.add("worker").await;
    deploy(&mesh.rest(0), "alone", 1).await;
    assert_eq!(slope(&mesh.rest(0), "alone").await, 1.0);
}

/// A model of a hundred columns, which is larger than [`file`].
fn large() -> Bytes {
    let coefficients = (0..100).map(|number| (format!("column_{number}"), 1.0)).collect();
    let linear = Linear {
        intercept: 0.0,
        coefficients,
    };
    linear.encode().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_no_worker_can_load_is_taken_back() {
    let (small, large) = (file(1.0), large());
    let room = small.len() + large.len() / 2;
    assert!(room > small.len() && room < large.len(), "{room}");
    let limit = vec![("LEPTON_MODELS__FILES_BYTES_MAX", room.to_string())];
    let special = Special {
        environment: BTreeMap::from([("worker", limit)]),
        ..Special::default()
    };
    let mesh = Cluster::start_on(RealEtcd::start(1).await, ONE_OF_EACH, special).await;
    let rest = &mesh.rest(0);
    let pushed = rest.post("/api/v1/models/tight:push", large.clone()).await;
    assert_eq!(pushed.status, 200, "a look takes no room: {}", pushed.text());
    let answer = rest.post("/api/v1/models/tight:deploy", "{}").await;
    refused(&answer, 400, "MODEL_LOAD_FAILED");
    for words in ["version 1", "do not fit", "no version is deployed"] {
        assert!(answer.text().contains(words), "{}", answer.text());
    }
    push(rest, "tight", 1.0).await;
    deploy(rest, "tight", 2).await;
    let answer = rest.post("/api/v1/models/tight:deploy", r#"{"version": 1}"#).await;
    refused(&answer, 400, "MODEL_LOAD_FAILED");
    assert!(answer.text().contains("version 2 is deployed"), "{}", answer.text());
    let model = rest.get("/api/v1/models/tight").await.json();
    assert_eq!(
        (&model["deployedVersion"], &model["previousVersion"]),
        (&2.into(), &0.into()),
        "{model}"
    );
    assert_eq!(slope(rest, "tight").await, 1.0, "the other one answers all the time");
}
