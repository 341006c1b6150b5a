//! The kinds of task that there are.
//!
//! Promises: a kind that any registered worker runs is known, and so is every kind of this version, while no worker is
//! there yet. Leaves finding a free worker to the scheduler.

use lepton_coordination::registry::{Directory, Instances};

use super::error::CallError;

/// The kinds that every worker of this version runs.
const BUILT_IN: [&str; 4] = ["analyze", "echo", "evaluate", "train"];
/// Metadata of a worker's entry in the registry: its kinds, separated by commas.
const METADATA_KEY: &str = "kinds";

/// Refuses a kind that nobody runs.
pub fn check(kind: &str, workers: &Directory) -> Result<(), CallError> {
    if BUILT_IN.contains(&kind) {
        return Ok(());
    }
    let view = workers.view();
    let instances = view.borrow();
    let mut known: Vec<&str> = BUILT_IN.into_iter().chain(registered(&instances)).collect();
    if known.contains(&kind) {
        return Ok(());
    }
    known.sort_unstable();
    known.dedup();
    Err(CallError::KindUnknown {
        kind: kind.to_owned(),
        known: known.join(", "),
    })
}

fn registered(instances: &Instances) -> impl Iterator<Item = &str> {
    let workers = instances.values().filter(|instance| instance.service == "worker");
    let kinds = workers.filter_map(|worker| worker.metadata.get(METADATA_KEY));
    kinds
        .flat_map(|kinds| kinds.split(','))
        .map(str::trim)
        .filter(|kind| !kind.is_empty())
}
