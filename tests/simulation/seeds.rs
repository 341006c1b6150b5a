//! Many seeds, each in a process of its own, some at a time.
//!
//! `make simulate SEEDS=1000` runs seeds 1 to 1000, `SEED=17` one of them, whose history it prints; without either it is
//! the short form of `make test`.

use std::num::NonZero;
use std::ops::RangeInclusive;
use std::time::Duration;

use futures::{StreamExt, stream};

use crate::chaos;
use crate::determinism::{run, simulated, twice};

/// How many seeds, or which one, a process should run.
const SEEDS: &str = "LEPTON_SIMULATE_SEEDS";
const SEED: &str = "LEPTON_SIMULATE_SEED";
/// How many seeds the short form has.
const SHORT: u64 = 20;
/// Real time for one seed on a busy machine; it takes seconds of the processor's.
const PATIENCE: Duration = Duration::from_secs(600);
/// Failures that are shown; more say nothing new.
const SHOWN_MAX: usize = 5;

#[test]
fn every_seed_keeps_the_promises() {
    let one = number(SEED);
    if simulated(|| chaos::history(one.expect("the seed of a process"))) {
        return;
    }
    let seeds = one.map_or(1..=number(SEEDS).unwrap_or(SHORT), |one| one..=one);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let failures = runtime.expect("a runtime").block_on(failures(seeds, one.is_some()));
    let shown: Vec<String> = failures
        .iter()
        .take(SHOWN_MAX)
        .map(|(seed, why)| format!("{why}\nseed {seed} failed; `make simulate SEED={seed}` repeats it\n"))
        .collect();
    let all: Vec<u64> = failures.iter().map(|(seed, _)| *seed).collect();
    assert!(failures.is_empty(), "{}failed seeds: {all:?}", shown.join("\n"));
}

#[test]
fn one_seed_is_one_history() {
    // One that elects more than one leader, so that every part of the mesh had a say in it.
    let simulate = || chaos::history(1);
    let Some(history) = twice("seeds::one_seed_is_one_history", simulate) else {
        return;
    };
    assert!(
        history.last().is_some_and(|last| last.contains("hash ")),
        "{history:#?}"
    );
}

/// Runs the seeds, as many at once as there are processors, and returns those that failed and why, in order.
async fn failures(seeds: RangeInclusive<u64>, verbose: bool) -> Vec<(u64, String)> {
    let at_once = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut runs = stream::iter(seeds)
        .map(|seed| async move {
            let text = seed.to_string();
            (
                seed,
                run("seeds::every_seed_keeps_the_promises", PATIENCE, &[(SEED, &text)]).await,
            )
        })
        .buffer_unordered(at_once);
    let (mut failures, mut done) = (Vec::new(), 0u64);
    while let Some((seed, outcome)) = runs.next().await {
        done += 1;
        match outcome {
            Ok(history) if verbose => println!("{}", history.join("\n")),
            Ok(_) => {}
            Err(why) => failures.push((seed, why)),
        }
        if done.is_multiple_of(100) {
            println!("{done} seeds, {} failed", failures.len());
        }
    }
    failures.sort();
    failures
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is {text:?}, not a number")),
    )
}
