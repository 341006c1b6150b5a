//! `lepton bench analyze`: the same rows again and again, over REST as `curl` would.

use std::process::ExitCode;

use bytes::Bytes;
use lepton_core::random::Random;
use lepton_domain::reason::ApiError;
use serde_json::json;

use super::super::Session;
use super::{Load, percentiles, repeat, rounded, show};
use crate::advice::EXIT_DONE;
use crate::args::BenchAnalyze;

/// The rows are the same in every run.
const SEED: u64 = 42;

/// Measures and prints.
pub(in crate::command) async fn run(session: &Session, args: &BenchAnalyze) -> Result<ExitCode, ApiError> {
    let body = Bytes::from(rows(args.rows));
    let (client, bytes) = (session.client.clone(), body.len());
    let call = move || {
        let (client, body) = (client.clone(), body.clone());
        async move { client.post("/api/v1/analyze", body).await.map(drop) }
    };
    let load = Load {
        count: args.count,
        concurrency: args.concurrency,
        rate: None,
    };
    let (measured, seconds) = repeat(session.context.clock, load, call).await?;
    let calls = measured.len();
    let (p50, p99) = percentiles(measured);
    let answer = json!({
        "rows": args.rows, "bytes": bytes, "count": calls, "concurrency": args.concurrency, "seconds": rounded(seconds),
        "callsPerS": rounded(calls as f64 / seconds.max(1e-9)), "answerMs": { "p50": p50, "p99": p99 },
    });
    let figures = ["rows", "bytes", "count", "seconds", "callsPerS"];
    session.print(answer.to_string().as_bytes(), |answer| {
        show("analyze", &figures, answer)
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
