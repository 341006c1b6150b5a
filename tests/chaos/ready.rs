//! Ready is true: what is asked right after the ready line is answered, and who cannot answer does not say that it can.

use std::time::Duration;

use lepton_tests::mesh::{Options, Up};
use lepton_tests::process::{children, signal};
use lepton_tests::rest::Rest;
use lepton_tests::wait::eventually;
use serde_json::json;

use crate::audit::text;
use crate::serial::{PATIENCE, Watch, exclusive};

/// How often the mesh is started from nothing.
const STARTS: usize = 20;
/// How long readiness may take to follow the truth.
const NOTICE_MAX: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn twenty_cold_starts_refuse_nothing() {
    let _exclusive = exclusive().await;
    let mut times = Vec::new();
    for start in 0..STARTS {
        let watch = Watch::start();
        let up = Up::fresh().await;
        times.push(watch.elapsed());
        let rest = up.rest();
        let (analysis, task) = tokio::join!(
            rest.post("/api/v1/analyze", r#"{"data":[{"a":1},{"a":2}]}"#),
            rest.post("/api/v1/tasks", r#"{"kind":"echo","input":{"x":1}}"#),
        );
        assert_eq!(analysis.status, 200, "start {start}: {}", analysis.text());
        assert_eq!(task.status, 200, "start {start}: {}", task.text());
        let task = rest
            .get(&format!("/api/v1/tasks/{}:wait?timeout=30s", text(&task.json(), "id")))
            .await;
        assert_eq!(task.json()["output"], json!({"x": 1}), "start {start}: {}", task.text());
    }
    times.sort_unstable();
    let (median, worst) = (times[STARTS / 2], times[STARTS - 1]);
    println!("{STARTS} cold starts: ready after {median:.2?} (median), {worst:.2?} (worst)");
}

async fn readyz(rest: &Rest, status: u16) {
    eventually(PATIENCE, || async { rest.get("/readyz").await.status == status }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_worker_nobody_is_ready() {
    let _exclusive = exclusive().await;
    let up = Up::start(Options {
        workers: 2,
        ..Options::default()
    })
    .await;
    let (gateway, admin) = (up.rest(), Rest::at(&up.admin));
    for rest in [&gateway, &admin] {
        assert_eq!(rest.get("/readyz").await.status, 200);
    }
    let workers = children(up.process.pid());
    let watch = Watch::start();
    workers.iter().for_each(|(pid, _)| signal(*pid, "STOP"));
    tokio::join!(readyz(&gateway, 503), readyz(&admin, 503));
    let noticed = watch.elapsed();
    assert_eq!(gateway.get("/livez").await.status, 200, "it lives all the same");
    let watch = Watch::start();
    workers.iter().for_each(|(pid, _)| signal(*pid, "CONT"));
    tokio::join!(readyz(&gateway, 200), readyz(&admin, 200));
    let restored = watch.elapsed();
    let answer = gateway.post("/api/v1/analyze", r#"{"data":[{"a":1},{"a":2}]}"#).await;
    assert_eq!(
        answer.status,
        200,
        "ready means that a request succeeds now: {}",
        answer.text()
    );
    println!("all workers stopped: not ready after {noticed:.1?}, ready again after {restored:.1?}");
    assert!(
        noticed < NOTICE_MAX && restored < NOTICE_MAX,
        "{noticed:?}, {restored:?}"
    );
}
