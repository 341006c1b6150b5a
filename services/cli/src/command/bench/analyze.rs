//! `lepton bench analyze`: the same rows again and again, over REST as `curl` would.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use lepton_domain::reason::Fault;
use lepton_mesh::random::Random;
use serde_json::json;
use tokio::task::JoinSet;

use super::super::Session;
use super::{percentiles, rounded};
use crate::advice::EXIT_DONE;
use crate::args::BenchAnalyze;
use crate::output::table::{print, text};

/// The rows are the same in every run.
const SEED: u64 = 42;

/// Measures and prints.
pub(in crate::command) async fn run(session: &Session, wish: &BenchAnalyze) -> Result<ExitCode, Fault> {
    let body = Bytes::from(rows(wish.rows));
    let clock = session.context.clock;
    let next = Arc::new(AtomicU32::new(0));
    let started = clock.monotonic();
    let mut loops = JoinSet::new();
    for _number in 0..wish.concurrency.max(1) {
        let (client, body, next, count) = (session.client.clone(), body.clone(), next.clone(), wish.count);
        loops.spawn(async move {
            let mut measured = Vec::new();
            while next.fetch_add(1, Ordering::Relaxed) < count {
                let begun = clock.monotonic();
                client.post("/api/v1/analyze", body.clone()).await?;
                measured.push(clock.monotonic().saturating_sub(begun));
            }
            Ok::<_, Fault>(measured)
        });
    }
    let mut measured = Vec::new();
    while let Some(ended) = loops.join_next().await {
        measured.extend(ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?);
    }
    let seconds = clock.monotonic().saturating_sub(started).as_secs_f64();
    let (calls, bytes) = (measured.len(), body.len());
    let (p50, p99) = percentiles(measured);
    let answer = json!({
        "rows": wish.rows, "bytes": bytes, "count": calls, "concurrency": wish.concurrency, "seconds": rounded(seconds),
        "callsPerS": rounded(calls as f64 / seconds.max(1e-9)), "answerMs": { "p50": p50, "p99": p99 },
    });
    session.print(answer.to_string().as_bytes(), |answer| {
        let figures = ["rows", "bytes", "count", "seconds", "callsPerS"];
        let mut rows: Vec<Vec<String>> = figures
            .iter()
            .map(|name| vec![(*name).to_owned(), text(&answer[*name])])
            .collect();
        rows.push(vec!["answer p50 ms".to_owned(), text(&answer["answerMs"]["p50"])]);
        rows.push(vec!["answer p99 ms".to_owned(), text(&answer["answerMs"]["p99"])]);
        print(&["analyze", "figure"], &rows);
    })?;
    Ok(EXIT_DONE)
}

/// A request with three numeric columns.
fn rows(count: u32) -> String {
    let random = Random::seeded(SEED);
    // The high 53 bits of a draw are a number from 0 to 1 without a rounding.
    let unit = || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let row = |(a, b, noise): (f64, f64, f64)| {
        format!(
            r#"{{"feature_1":{a:.6},"feature_2":{b:.6},"label":{:.6}}}"#,
            3.0 * a - 2.0 * b + 0.1 * noise
        )
    };
    let rows: Vec<String> = (0..count).map(|_number| row((unit(), unit(), unit()))).collect();
    format!(r#"{{"data":[{}],"target":"label"}}"#, rows.join(","))
}
