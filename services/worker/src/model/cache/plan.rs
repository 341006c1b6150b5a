//! Decision which versions to load and which to unload.
//!
//! Promises: pure and idempotent: deciding again at the same time changes nothing. Leaves its execution to
//! [`Loader`](super::Loader).

use std::collections::BTreeMap;
use std::time::Duration;

use lepton_domain::model::Version;
use lepton_models::ModelMap;

#[cfg(test)]
mod tests;

/// Time that a former version answers after its successor does: longer than gateways take to notice.
pub(super) const FORMER_STAYS: Duration = Duration::from_secs(15);
/// Time that a version stays after it has left the registry: requests to it may be on their way.
pub(super) const WITHDRAWN_STAYS: Duration = Duration::from_secs(3);

/// A version, by its model's name and its number.
pub(super) type Key = (String, u32);

/// Stage of a version in the [`ModelCache`](super::ModelCache).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Loading,
    Ready,
    /// Failed, with the time of the next try, where there is to be one.
    Failed(Option<Duration>),
}

/// State of a version in memory, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntryState {
    pub(super) stage: Stage,
    /// Time at which it leaves the registry.
    pub(super) leaves_at: Option<Duration>,
}

/// Steps to take now, as [`plan`](plan()) decided them.
#[derive(Debug, Default, PartialEq)]
pub(super) struct LoadPlan {
    /// Versions to load.
    pub(super) load: Vec<Key>,
    /// Times at which versions leave; none for those that stay after all.
    pub(super) leaving: Vec<(Key, Option<Duration>)>,
    /// Versions to unload.
    pub(super) unload: Vec<Key>,
    /// Time of the next decision, unless something happens before.
    pub(super) next_at: Option<Duration>,
}

/// Versions that the registry has deployed.
pub(super) fn deployed(models: &ModelMap) -> BTreeMap<Key, &Version> {
    let mut versions = BTreeMap::new();
    for model in models.values() {
        if let Some(version) = model.deployed.and_then(|number| model.version(number)) {
            versions.insert((model.name.clone(), version.number), version);
        }
    }
    versions
}

/// Decides from the deployed versions, those in memory, and the time.
pub(super) fn plan<'a>(
    deployed: &BTreeMap<Key, &Version>,
    entries: impl Iterator<Item = (&'a Key, EntryState)>,
    now: Duration,
) -> LoadPlan {
    let entries: BTreeMap<&Key, EntryState> = entries.collect();
    let mut plan = LoadPlan::default();
    for key in deployed.keys() {
        match entries.get(key).map(|entry| entry.stage) {
            None => plan.load.push(key.clone()),
            Some(Stage::Failed(Some(at))) if at <= now => plan.load.push(key.clone()),
            Some(Stage::Failed(Some(at))) => plan.wake_at(at),
            Some(_) => {}
        }
    }
    for (key, it) in &entries {
        if deployed.contains_key(*key) {
            if it.leaves_at.is_some() {
                plan.leaving.push(((*key).clone(), None));
            }
        } else if it.stage != Stage::Ready {
            plan.unload.push((*key).clone());
        } else if has_waiting_successor(deployed, &entries, &key.0) {
            if it.leaves_at.is_some() {
                plan.leaving.push(((*key).clone(), None));
            }
        } else {
            plan.retire(key, it.leaves_at, now);
        }
    }
    plan
}

/// Returns whether a deployed version of this model does not answer yet.
fn has_waiting_successor(deployed: &BTreeMap<Key, &Version>, entries: &BTreeMap<&Key, EntryState>, name: &str) -> bool {
    let successors = deployed.keys().filter(|(of, _)| of == name);
    let mut waiting = successors.filter(|key| entries.get(key).is_none_or(|it| it.stage != Stage::Ready));
    waiting.next().is_some()
}

impl LoadPlan {
    fn retire(&mut self, key: &Key, leaves_at: Option<Duration>, now: Duration) {
        let at = leaves_at.unwrap_or_else(|| {
            let at = now + FORMER_STAYS;
            self.leaving.push((key.clone(), Some(at)));
            at
        });
        if now >= at + WITHDRAWN_STAYS {
            self.unload.push(key.clone());
        } else {
            self.wake_at(if now >= at { at + WITHDRAWN_STAYS } else { at });
        }
    }

    fn wake_at(&mut self, at: Duration) {
        self.next_at = Some(self.next_at.map_or(at, |before| before.min(at)));
    }
}
