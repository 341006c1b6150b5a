//! How long a page of tasks takes by each filter, in a mesh with many tasks, over REST and from the client's side.
//!
//! `cargo run --release -p lepton-tests --example search_bench -- 1000000` submits that many tasks to a fresh `lepton up`, a
//! tenth of which fail, waits for their ends and prints the median and the 99th percentile of a page of 50 for each filter, in
//! milliseconds, alone and beside submits. `cargo build --release --bins` comes first.

use std::error::Error;
use std::time::Duration;

use lepton_core::clock::Clock;
use lepton_tests::mesh::{Options, Up};
use lepton_tests::rest::Rest;
use serde_json::{Value, json};

type Failure = Box<dyn Error + Send + Sync>;

/// Tasks of one request.
const BATCH: usize = 5_000;
/// Pages read of each filter.
const PAGES: usize = 300;
/// One task in so many fails.
const FAILING: usize = 10;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let tasks: usize = std::env::args().nth(1).map_or(Ok(1_000_000), |count| count.parse())?;
    let room = ("LEPTON_TASKS__STORED_PER_TENANT_MAX", (4 * tasks).to_string());
    let waiting = ("LEPTON_TASKS__PENDING_PER_TENANT_MAX", (4 * tasks).to_string());
    let mesh = Up::start(Options {
        variables: vec![room, waiting],
        ..Options::default()
    })
    .await;
    let rest = mesh.rest();
    let clock = Clock::system();
    let began = clock.monotonic();
    for first in (0..tasks).step_by(BATCH) {
        submit(&rest, first..(first + BATCH).min(tasks)).await?;
    }
    while live(&rest).await > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    println!(
        "{tasks} tasks ended after {:.0} s",
        clock.monotonic().saturating_sub(began).as_secs_f64()
    );
    let middle = page(&rest, "requestId=bench-0").await?;
    let worker = middle["tasks"][0]["worker"].as_str().unwrap_or_default().to_owned();
    let filters = [
        String::new(),
        "state=STATE_FAILED".to_owned(),
        "state=STATE_RUNNING".to_owned(),
        "kind=echo&order=asc".to_owned(),
        "label=tenth%3D7".to_owned(),
        "label=tenth%3D0&state=STATE_FAILED".to_owned(),
        // Two halves that never meet: the most that an intersection can cost.
        "label=half%3D0&label=tenth%3D7".to_owned(),
        "reason=HANDLER_FAILED&label=thousandth%3D0".to_owned(),
        format!("worker={worker}&state=STATE_FAILED"),
        "requestId=bench-0".to_owned(),
        "createdAfter=2000-01-01T00:00:00Z&state=STATE_FAILED&order=asc".to_owned(),
    ];
    for filter in &filters {
        report("alone", &rest, filter).await?;
    }
    let submits = tokio::spawn({
        let rest = mesh.rest();
        async move {
            for first in (tasks..).step_by(BATCH) {
                submit(&rest, first..first + BATCH).await?;
            }
            Ok::<_, Failure>(())
        }
    });
    for filter in &filters {
        report("beside submits", &rest, filter).await?;
    }
    submits.abort();
    Ok(())
}

async fn submit(rest: &Rest, numbers: std::ops::Range<usize>) -> Result<(), Failure> {
    let task = |number: usize| {
        json!({
            "kind": "echo",
            "input": {"fail_rate": u8::from(number.is_multiple_of(FAILING))},
            "retry": {"maxAttempts": 1},
            "requestId": format!("bench-{number}"),
            "labels": {
                "half": (number % 2).to_string(),
                "tenth": (number % 10).to_string(),
                "thousandth": (number % 1_000).to_string(),
            },
        })
    };
    let requests: Vec<Value> = numbers.map(task).collect();
    loop {
        let body = json!({"requests": requests}).to_string();
        let answer = rest.post("/api/v1/tasks:batchSubmit", body).await;
        let text = answer.text();
        if !answer.status.is_success() {
            return Err(text.into());
        }
        // What was refused for lack of room is given again, with the rest that is known already.
        let refused = answer.json()["results"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["error"].is_object()));
        if !refused {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn live(rest: &Rest) -> u64 {
    let counts = rest.get("/api/v1/tasks:count").await.json()["counts"].clone();
    ["STATE_PENDING", "STATE_RUNNING"]
        .iter()
        .filter_map(|state| counts[*state].as_u64())
        .sum()
}

async fn page(rest: &Rest, filter: &str) -> Result<Value, Failure> {
    let answer = rest
        .get(&format!("/api/v1/tasks?view=TASK_VIEW_BASIC&pageSize=50&{filter}"))
        .await;
    match answer.status.is_success() {
        true => Ok(answer.json()),
        false => Err(answer.text().into()),
    }
}

async fn report(beside: &str, rest: &Rest, filter: &str) -> Result<(), Failure> {
    let clock = Clock::system();
    let (mut times, mut found) = (Vec::new(), 0);
    for _ in 0..PAGES {
        let began = clock.monotonic();
        let page = page(rest, filter).await?;
        times.push(clock.monotonic().saturating_sub(began));
        found = page["tasks"].as_array().map_or(0, Vec::len);
    }
    times.sort_unstable();
    let at = |part: usize| times[times.len() * part / 100].as_secs_f64() * 1e3;
    println!(
        "{beside:<15} p50 {:>7.2} ms  p99 {:>7.2} ms  {found:>3} found  {filter}",
        at(50),
        at(99)
    );
    Ok(())
}
