//! The version that answers a request without one.
//!
//! Promises: while a deploy is under way requests stay with the version before it, so none waits or fails; a lone
//! worker that has the new version is not given all of the traffic. Leaves knowing who has loaded what to the caller.

use super::Model;

/// Returns the version to send a request to. `ready` is the number of workers that have a version in memory, `live` of
/// those that could have the deployed one: those that failed to load it do not count. `None` while nothing is
/// deployed.
pub fn serving(model: &Model, ready: &dyn Fn(u32) -> usize, live: usize) -> Option<u32> {
    let deployed = model.deployed?;
    let carried = ready(deployed).saturating_mul(2) >= live.max(1);
    let fallback = model.previous.filter(|previous| !carried && ready(*previous) > 0);
    Some(fallback.unwrap_or(deployed))
}
