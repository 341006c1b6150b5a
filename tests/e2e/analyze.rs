//! Analyze agrees with numpy, scipy and scikit-learn, however rows come in, and large bodies take bounded memory.

use std::fmt::Write as _;

use http::StatusCode;
use lepton_tests::mesh::{Cluster, Sizes};
use lepton_tests::venv::{run, venv};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::shared_mesh::shared;

/// The rows of the large body.
const ROWS: usize = 1_000_000;

/// A table of `analyze_tables.py`. Numbers stay the text that they are: nothing here may round them.
#[derive(Deserialize)]
struct Case {
    name: String,
    request: Box<RawValue>,
}

/// A line for `analyze_compare.py`.
#[derive(Serialize)]
struct Outcome<'a> {
    name: &'a str,
    request: &'a RawValue,
    status: u16,
    answer: &'a RawValue,
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_agrees_with_the_oracle() {
    let mesh = shared().await;
    let tables = run(venv().script("analyze_tables.py"), b"").stdout;
    let tables = String::from_utf8(tables).expect("JSON is UTF-8");
    let mut outcomes = String::new();
    let mut count = 0;
    for line in tables.lines() {
        let case: Case = serde_json::from_str(line).expect("the tables are JSON");
        let answer = mesh.rest().post("/api/v1/analyze", case.request.get().to_owned()).await;
        let text = std::str::from_utf8(&answer.body).expect("JSON is UTF-8");
        let outcome = Outcome {
            name: &case.name,
            request: &case.request,
            status: answer.status.as_u16(),
            answer: serde_json::from_str(text).unwrap_or_else(|error| panic!("{}: {error}: {text}", case.name)),
        };
        writeln!(outcomes, "{}", serde_json::to_string(&outcome).expect("it is JSON")).expect("memory can be written");
        count += 1;
    }
    assert!(count >= 45, "only {count} tables");
    compare(&outcomes);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_columns_over_grpc_give_the_same_figures() {
    let mesh = shared().await;
    let mut script = venv().script("analyze_grpc.py");
    script.arg(mesh.rest().authority());
    blocking(move || run(script, b"")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_rows_take_bounded_memory() {
    let sizes = Sizes {
        gateways: 1,
        schedulers: 1,
        workers: 1,
        monitors: 0,
    };
    let (cluster, body) = tokio::join!(Cluster::start(sizes), blocking(million));
    let peaks = || ["gateway", "worker"].map(|service| cluster.of(service)[0].process.memory_peak());
    let (before, bytes) = (peaks(), body.len() as u64);
    let answer = cluster.rest(0).post("/api/v1/analyze", body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let figures = answer.json();
    assert_eq!(figures["rowCount"], ROWS);
    assert_eq!(figures["columns"][2]["count"], ROWS);
    assert_eq!(figures["fit"]["rowCount"], ROWS);
    let after = peaks();
    let grown: u64 = after.iter().zip(before).map(|(after, before)| after - before).sum();
    let whole: u64 = after.iter().sum();
    println!(
        "{ROWS} rows, body {} MiB; peak memory: gateway {} MiB (at rest {}), worker {} MiB (at rest {}); together {:.2} bodies",
        bytes >> 20,
        after[0] >> 20,
        before[0] >> 20,
        after[1] >> 20,
        before[1] >> 20,
        whole as f64 / bytes as f64,
    );
    assert!(
        whole <= 4 * bytes,
        "gateway and worker held {whole} bytes at their peaks, of which {grown} for a body of {bytes}"
    );
}

fn million() -> Vec<u8> {
    let mut script = venv().script("analyze_rows.py");
    script.arg(ROWS.to_string());
    run(script, b"").stdout
}

fn compare(outcomes: &str) {
    let output = run(venv().script("analyze_compare.py"), outcomes.as_bytes());
    println!("{}", String::from_utf8_lossy(&output.stdout));
}

/// Runs what blocks without stopping the others.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("it does not panic")
}

/// One row of more columns than a connection takes small frames: the request must reach its worker all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_many_columns_is_analysed() {
    let mesh = shared().await;
    let rest = mesh.rest();
    for columns in [19_000, 40_000] {
        let mut body = "{\"data\":[{".to_owned();
        for column in 0..columns {
            let separator = if column == 0 { "" } else { "," };
            write!(body, "{separator}\"c{column}\":{column}").expect("a text takes all that is written");
        }
        body.push_str("}]}");
        for _ in 0..3 {
            let answer = rest.post("/api/v1/analyze", body.clone()).await;
            assert_eq!(answer.status, StatusCode::OK, "{columns} columns: {}", answer.text());
            let counted = answer.json()["columns"].as_array().map(Vec::len);
            assert_eq!(counted, Some(columns));
        }
    }
}
