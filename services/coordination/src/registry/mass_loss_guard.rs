//! A guard against the loss of many entries at once.
//!
//! Promises: pure; time comes in. If half of a service (two instances at least) vanishes within 5 s without having
//! announced a drain, the old entries stay for a while: etcd forgetting is likelier than half a service dying at
//! once, and what lives registers again within that while. Leaves dead ones that are kept to their callers, who find
//! that they do not answer.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Instances;
use super::NodeState;
use lepton_domain::ids::InstanceId;

/// Losses within this time count as one.
const WINDOW: Duration = Duration::from_secs(5);

/// Time for which entries stay that vanished in a mass: time for several attempts to register.
const HOLD: Duration = Duration::from_secs(30);

/// Keeps entries that vanished together: see [`MassLossGuard::view`].
#[derive(Debug, Default)]
pub(super) struct MassLossGuard {
    /// The last view, without what has vanished for good.
    known: Instances,
    /// Monotonic time at which each known instance vanished that is not registered any more.
    vanished: BTreeMap<InstanceId, Duration>,
}

impl MassLossGuard {
    /// Returns the view at `now` (monotonic) of what is registered, and of what has vanished in a mass for less than
    /// [`HOLD`].
    pub(super) fn view(&mut self, registered: Instances, now: Duration) -> Instances {
        for (id, instance) in &self.known {
            // Who drained has said goodbye; it is not a loss.
            if !registered.contains_key(id) && instance.state != NodeState::Draining {
                self.vanished.entry(id.clone()).or_insert(now);
            }
        }
        self.vanished
            .retain(|id, since| !registered.contains_key(id) && now.saturating_sub(*since) < HOLD);
        // The losses of a window are judged together, so one that is alone is remembered until the window closes.
        let mut known = registered.clone();
        for id in self.vanished.keys() {
            if let Some(instance) = self.known.get(id) {
                known.insert(id.clone(), instance.clone());
            }
        }
        self.known = known;
        let mut shown = registered;
        for id in self.held() {
            if let Some(instance) = self.known.get(&id) {
                shown.insert(id, instance.clone());
            }
        }
        shown
    }

    /// Returns the time at which the view changes by itself; `None` while nothing is held.
    pub(super) fn next_change(&self) -> Option<Duration> {
        self.vanished.values().min().map(|since| *since + HOLD)
    }

    /// Those that vanished in a mass.
    fn held(&self) -> Vec<InstanceId> {
        let service = |id: &InstanceId| self.known.get(id).map(|instance| instance.service.clone());
        let mut held = Vec::new();
        for (id, at) in &self.vanished {
            let of_service = |other: &&InstanceId| service(other) == service(id);
            let near = |other: &Duration| at.abs_diff(*other) < WINDOW;
            let lost = self
                .vanished
                .iter()
                .filter(|(other, at)| near(at) && of_service(other))
                .count();
            let all = self.known.keys().filter(of_service).count();
            if lost >= 2 && 2 * lost >= all {
                held.push(id.clone());
            }
        }
        held
    }
}

#[cfg(test)]
mod tests;
