//! What is refused while workers or etcd are away, what goes on, and that all of it comes back by itself.

use std::time::Duration;

use lepton_core::net::Net;
use lepton_proto::analysis::v1::AnalyzeRequest;
use lepton_proto::task::v1::SubmitTaskRequest;
use lepton_tests::etcd::RealEtcd;
use lepton_tests::mesh::{Cluster, Sizes, directory};
use lepton_tests::process::Process;
use lepton_tests::rest::Rest;
use lepton_tests::wait::eventually;
use prost_types::Struct;
use serde_json::json;
use tonic::Code;

use super::{analysis, failed, refused, says_when, still_works, task_count, tasks, unavailable};

const ONE_OF_EACH: Sizes = Sizes {
    gateways: 1,
    schedulers: 1,
    workers: 1,
    monitors: 0,
};
/// How long a change may take to be noticed.
const NOTICED_MAX: Duration = Duration::from_secs(20);
const ROWS: &str = r#"{"data":[{"a":1}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn without_workers_analyze_is_refused_and_tasks_wait() {
    let mut mesh = Cluster::start(ONE_OF_EACH).await;
    let rest = mesh.rest(0);
    mesh.member("worker", 0).process.kill();
    let answer = eventually(NOTICED_MAX, || async {
        let answer = rest.post("/api/v1/analyze", ROWS).await;
        (answer.reason().as_deref() == Some("NO_WORKER")).then_some(answer)
    });
    let answer = answer.await;
    refused(&answer, unavailable("NO_WORKER"));
    says_when(&answer);
    let request = AnalyzeRequest {
        data: vec![Struct::default()],
        ..Default::default()
    };
    failed(
        analysis(mesh.channel(0)).analyze(request).await,
        Code::Unavailable,
        "NO_WORKER",
    );
    eventually(NOTICED_MAX, || async { rest.get("/readyz").await.status == 503 }).await;
    assert_eq!(rest.get("/livez").await.status, 200, "it is up all the same");

    let task = rest
        .submit("/api/v1/tasks", &json!({"kind": "echo", "input": "later"}))
        .await;
    assert_eq!(task["state"], "STATE_PENDING");
    mesh.add("worker").await;
    let ended = rest
        .get(&format!(
            "/api/v1/tasks/{}:wait?timeout=30s",
            task["id"].as_str().expect("an id")
        ))
        .await
        .json();
    assert_eq!(
        (&ended["state"], &ended["output"]),
        (&json!("STATE_SUCCEEDED"), &json!("later")),
        "{ended}"
    );
    eventually(NOTICED_MAX, || async { rest.get("/readyz").await.status == 200 }).await;
    still_works(&rest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_etcd_submits_are_refused_and_analyze_goes_on() {
    let mesh = Cluster::start(ONE_OF_EACH).await;
    let rest = mesh.rest(0);
    still_works(&rest).await;
    let before = task_count(&rest).await;
    mesh.etcd.freeze(0);
    let body = json!({"kind": "echo", "input": 1, "requestId": "during"}).to_string();
    let answer = eventually(NOTICED_MAX, || async {
        let answer = rest.post("/api/v1/tasks", body.clone()).await;
        (answer.reason().as_deref() == Some("JOURNAL_UNAVAILABLE")).then_some(answer)
    });
    let answer = answer.await;
    refused(&answer, unavailable("JOURNAL_UNAVAILABLE"));
    says_when(&answer);
    let request = SubmitTaskRequest {
        kind: "echo".into(),
        request_id: "during".into(),
        ..Default::default()
    };
    failed(
        tasks(mesh.channel(0)).submit_task(request).await,
        Code::Unavailable,
        "JOURNAL_UNAVAILABLE",
    );
    for _ in 0..20 {
        let rows = rest.post("/api/v1/analyze", ROWS).await;
        assert_eq!(rows.status, 200, "{}", rows.text());
    }
    assert_eq!(rest.get("/livez").await.status, 200);

    mesh.etcd.thaw(0);
    // What was refused may have happened all the same; a repetition makes no second one.
    let repeated = || rest.post("/api/v1/tasks", body.clone());
    let task = eventually(NOTICED_MAX, || async {
        Some(repeated().await).filter(|it| it.status == 200)
    })
    .await
    .json();
    let again = repeated().await.json();
    assert_eq!(task["id"], again["id"]);
    assert_eq!(task_count(&rest).await, before + 1, "one request id, one task");
    still_works(&rest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_wait_for_etcd_at_their_start() {
    let mut etcd = RealEtcd::start(1).await;
    etcd.kill(0);
    let data = directory();
    let mut services = Vec::new();
    for service in ["scheduler", "worker", "monitor", "gateway"] {
        let admin = free_address().await;
        let endpoint = format!("http://{}", etcd.endpoints()[0]);
        let folder = data.path().join(service).display().to_string();
        let blobs = data.path().join("blobs").display().to_string();
        let flags = [
            "--etcd",
            &endpoint,
            "--listen",
            "127.0.0.1:0",
            "--admin",
            &admin,
            "--data-dir",
            &folder,
            "--blob",
            &blobs,
        ];
        let process = Process::start(&format!("lepton-{service}"), &flags.map(str::to_owned));
        services.push((Rest::at(&admin), process));
    }
    for (admin, process) in &mut services {
        eventually(NOTICED_MAX, || probe(admin, "/livez", 200)).await;
        assert!(probe(admin, "/readyz", 503).await, "not ready while etcd is away");
        assert_eq!(process.stdout(), "", "no ready line");
        assert!(process.ended().is_none(), "it waits");
    }
    etcd.restart(0).await;
    let mut gateway = None;
    for (admin, process) in &mut services {
        gateway = Some(Rest::at(&process.ready().await["address"]));
        assert!(probe(admin, "/readyz", 200).await);
    }
    still_works(&gateway.expect("the gateway is the last one")).await;
}

/// Whether a probe answers with this status.
async fn probe(admin: &Rest, path: &str, status: u16) -> bool {
    let answer = admin
        .attempt(admin.request(http::Method::GET, path, bytes::Bytes::new()))
        .await;
    answer.is_ok_and(|answer| answer.status == status)
}

/// An address that was free a moment ago.
async fn free_address() -> String {
    Net::Os
        .bind("127.0.0.1:0")
        .await
        .expect("a free port")
        .local_addr()
        .to_string()
}
