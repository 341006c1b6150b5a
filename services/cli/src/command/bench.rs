//! `lepton bench`: measurements of a mesh as a client sees it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lepton_core::clock::Clock;
use lepton_domain::reason::ApiError;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::output::progress::Bar;
use crate::output::table::{print, text};

pub(super) mod analyze;
pub(super) mod infer;
pub(super) mod tasks;

/// The load of a measurement.
#[derive(Debug, Clone, Copy)]
struct Load {
    /// Calls in all.
    count: u32,
    /// Calls at once.
    concurrency: u32,
    /// Calls a second over all lanes, whether or not earlier ones have ended; absent: each begins when one has ended.
    rate: Option<u32>,
}

impl Load {
    /// The time at which a call is due, from the start on.
    fn due(self, number: u32) -> Option<Duration> {
        let seconds = f64::from(number) / f64::from(self.rate?.max(1));
        Some(Duration::from_secs_f64(seconds))
    }
}

/// Calls under a [`Load`]; returns the duration of each call and of all, in seconds. The first failure ends it. With a rate a
/// call's time begins when it is due: the wait for a free lane counts.
async fn repeat<C, F>(clock: Clock, load: Load, call: C) -> Result<(Vec<Duration>, f64), ApiError>
where
    C: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<(), ApiError>> + Send,
{
    let next = Arc::new(AtomicU32::new(0));
    let bar = Arc::new(Bar::counting("calls", load.count.into()));
    let started = clock.monotonic();
    let mut loops = JoinSet::new();
    for _lane in 0..load.concurrency.max(1) {
        let (call, next, bar) = (call.clone(), next.clone(), bar.clone());
        loops.spawn(async move {
            let mut measured = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= load.count {
                    return Ok::<_, ApiError>(measured);
                }
                let mut begun = clock.monotonic();
                if let Some(due) = load.due(number) {
                    tokio::time::sleep((started + due).saturating_sub(begun)).await;
                    begun = started + due;
                }
                call().await?;
                measured.push(clock.monotonic().saturating_sub(begun));
                bar.step();
            }
        });
    }
    let mut measured = Vec::new();
    while let Some(ended) = loops.join_next().await {
        measured.extend(ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?);
    }
    Ok((measured, clock.monotonic().saturating_sub(started).as_secs_f64()))
}

/// Shows these figures of an answer, and its times.
fn show(what: &str, figures: &[&str], answer: &Value) {
    let mut rows: Vec<Vec<String>> = figures
        .iter()
        .map(|name| vec![(*name).to_owned(), text(&answer[*name])])
        .collect();
    rows.push(vec!["answer p50 ms".to_owned(), text(&answer["answerMs"]["p50"])]);
    rows.push(vec!["answer p99 ms".to_owned(), text(&answer["answerMs"]["p99"])]);
    print(&[what, "figure"], &rows);
}

/// The median and the 99th percentile, milliseconds; nothing was measured: zeros.
fn percentiles(mut measured: Vec<Duration>) -> (f64, f64) {
    measured.sort_unstable();
    let at = |share: f64| {
        // A share of a length below 2^53 rounds to an index within it.
        let index = ((measured.len() as f64 - 1.0).max(0.0) * share).round() as usize;
        measured
            .get(index)
            .map_or(0.0, |duration| (duration.as_secs_f64() * 1e6).round() / 1e3)
    };
    (at(0.5), at(0.99))
}

/// A figure with three decimals.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_rate_paces_all_lanes_together() {
        let load = Load {
            count: 21,
            concurrency: 2,
            rate: Some(200),
        };
        let calls = Arc::new(AtomicU32::new(0));
        let counted = calls.clone();
        let call = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        };
        let (measured, seconds) = repeat(Clock::system(), load, call).await.expect("no call fails");
        assert_eq!((measured.len(), calls.load(Ordering::Relaxed)), (21, 21));
        assert!(seconds >= 0.1, "the last of 21 is due after 0.1 s: {seconds}");
        assert_eq!(load.due(50), Some(Duration::from_millis(250)));
    }

    #[test]
    fn percentiles_are_of_what_was_measured() {
        assert_eq!(
            percentiles((1..=100).map(Duration::from_millis).collect()),
            (51.0, 99.0)
        );
        assert_eq!(percentiles(vec![]), (0.0, 0.0));
    }
}
