//! What to load and what to let go.
//!
//! Promises: pure, and calm: deciding again at the same time changes nothing. Leaves doing it to `keeper`.

use std::collections::BTreeMap;
use std::time::Duration;

use lepton_domain::model::Version;
use lepton_models::ModelMap;

#[cfg(test)]
mod tests;

/// How long a former version answers after its successor does: longer than it takes gateways to hear of it.
pub(super) const FORMER_STAYS: Duration = Duration::from_secs(15);
/// How long a version stays after nobody is told of it any more: requests to it may be on their way.
pub(super) const WITHDRAWN_STAYS: Duration = Duration::from_secs(3);

/// A version, by its model's name and its number.
pub(super) type Key = (String, u32);

/// How far a version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Loading,
    Ready,
    /// With the time of the next try, where there is to be one.
    Failed(Option<Duration>),
}

/// A version in memory, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) stage: Stage,
    /// When others are no longer told of it.
    pub(super) leaves_at: Option<Duration>,
}

/// What to do now.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Versions to load.
    pub(super) load: Vec<Key>,
    /// When versions leave; nothing for those that stay after all.
    pub(super) leaving: Vec<(Key, Option<Duration>)>,
    /// Versions to forget.
    pub(super) forget: Vec<Key>,
    /// When to look again, unless something happens before.
    pub(super) look_at: Option<Duration>,
}

/// The deployed versions.
pub(super) fn wanted(models: &ModelMap) -> BTreeMap<Key, &Version> {
    let mut wanted = BTreeMap::new();
    for model in models.values() {
        if let Some(version) = model.deployed.and_then(|number| model.version(number)) {
            wanted.insert((model.name.clone(), version.number), version);
        }
    }
    wanted
}

/// Decides from what is wanted, what is there and what time it is.
pub(super) fn plan<'a>(
    wanted: &BTreeMap<Key, &Version>,
    standing: impl Iterator<Item = (&'a Key, Standing)>,
    now: Duration,
) -> Plan {
    let standing: BTreeMap<&Key, Standing> = standing.collect();
    let mut plan = Plan::default();
    for key in wanted.keys() {
        match standing.get(key).map(|standing| standing.stage) {
            None => plan.load.push(key.clone()),
            Some(Stage::Failed(Some(at))) if at <= now => plan.load.push(key.clone()),
            Some(Stage::Failed(Some(at))) => plan.wakes(at),
            Some(_) => {}
        }
    }
    for (key, it) in &standing {
        if wanted.contains_key(*key) {
            if it.leaves_at.is_some() {
                plan.leaving.push(((*key).clone(), None));
            }
        } else if it.stage != Stage::Ready {
            plan.forget.push((*key).clone());
        } else if has_waiting_successor(wanted, &standing, &key.0) {
            if it.leaves_at.is_some() {
                plan.leaving.push(((*key).clone(), None));
            }
        } else {
            plan.let_go(key, it.leaves_at, now);
        }
    }
    plan
}

/// Whether a version of this model is wanted and does not answer yet.
fn has_waiting_successor(wanted: &BTreeMap<Key, &Version>, standing: &BTreeMap<&Key, Standing>, name: &str) -> bool {
    let successors = wanted.keys().filter(|(of, _)| of == name);
    let mut waiting = successors.filter(|key| standing.get(key).is_none_or(|it| it.stage != Stage::Ready));
    waiting.next().is_some()
}

impl Plan {
    fn let_go(&mut self, key: &Key, leaves_at: Option<Duration>, now: Duration) {
        let at = leaves_at.unwrap_or_else(|| {
            let at = now + FORMER_STAYS;
            self.leaving.push((key.clone(), Some(at)));
            at
        });
        if now >= at + WITHDRAWN_STAYS {
            self.forget.push(key.clone());
        } else {
            self.wakes(if now >= at { at + WITHDRAWN_STAYS } else { at });
        }
    }

    fn wakes(&mut self, at: Duration) {
        self.look_at = Some(self.look_at.map_or(at, |before| before.min(at)));
    }
}
