//! Which kinds of task there are.
//!
//! Promises: a kind that any registered worker runs is known, and so is every kind of this version, while no worker is
//! there yet. Leaves finding a free worker to the scheduler.

use lepton_coordination::registry::{Directory, Instances};
use lepton_domain::reason::{Fault, Reason};

/// The kinds that every worker of this version runs.
pub const BUILT_IN: [&str; 4] = ["analyze", "echo", "evaluate", "train"];
/// Where a worker's entry in the registry lists its kinds, separated by commas.
const METADATA_KEY: &str = "kinds";

/// Refuses a kind that nobody runs.
pub fn check(kind: &str, workers: &Directory) -> Result<(), Fault> {
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
    let message = format!("no worker runs the kind {kind:?}; known are {}", known.join(", "));
    Err(Fault::new(Reason::KindUnknown, message).with("kind", kind))
}

fn registered(instances: &Instances) -> impl Iterator<Item = &str> {
    let workers = instances.values().filter(|instance| instance.service == "worker");
    let kinds = workers.filter_map(|worker| worker.metadata.get(METADATA_KEY));
    kinds
        .flat_map(|kinds| kinds.split(','))
        .map(str::trim)
        .filter(|kind| !kind.is_empty())
}
