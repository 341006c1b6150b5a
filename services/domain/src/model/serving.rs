//! Selection of the version for a request that names none.
//!
//! Promises: during a deployment requests stay with the version before it, so none waits or fails; a lone worker with
//! the new version does not get all of the traffic. Leaves the knowledge of loaded versions to the caller.

use super::Model;

/// Version that serves a request. `ready` returns how many workers have a version in memory, `live` how many could have
/// the deployed one, without those that failed to load it. `None` while nothing is deployed.
pub fn serving(model: &Model, ready: &dyn Fn(u32) -> usize, live: usize) -> Option<u32> {
    let deployed = model.deployed?;
    let carried = ready(deployed).saturating_mul(2) >= live.max(1);
    let fallback = model.previous.filter(|previous| !carried && ready(*previous) > 0);
    Some(fallback.unwrap_or(deployed))
}
