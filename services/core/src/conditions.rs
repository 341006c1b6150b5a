//! Registry of the conditions that stand at this instance.
//!
//! A service raises a condition when it finds one and clears it when it finds it over; the stats stream carries those
//! that stand, and the monitor opens and closes an incident for each kind and key:
//!
//! ```
//! use lepton_core::conditions::Conditions;
//! use lepton_domain::condition::ConditionKind;
//!
//! const DISK_FULL: ConditionKind = ConditionKind::page("disk-full");
//!
//! let conditions = Conditions::default(); // a service has it as `context.conditions`
//! conditions.raise(DISK_FULL, "worker-1", "worker-1:/data", "the disk of worker-1 at /data is full; delete something");
//! conditions.clear(DISK_FULL, "worker-1:/data");
//! ```
//!
//! The key names what it is about, alike at every instance that sees the same (`/srv/blobs` for a shared store), and with
//! the instance in it where each has its own. Kinds that several crates raise are listed in
//! [`lepton_domain::condition`].
//!
//! Promises: raising again replaces the text; number and size are bounded. Leaves sending to the stats stream.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lepton_domain::condition::{Condition, ConditionKind};
use lepton_domain::text::cut;

#[cfg(test)]
mod tests;

/// Conditions of one kind that an instance reports; further ones are not reported until one of them is cleared.
pub const CONDITIONS_PER_KIND_MAX: usize = 32;
/// Bytes of a key, a subject and a text.
const TEXT_BYTES_MAX: usize = 512;

/// Each [`Condition`] that stands at this instance. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    standing: Arc<Mutex<BTreeMap<ConditionKind, BTreeMap<String, Condition>>>>,
}

impl Conditions {
    /// Raises a condition, or replaces the subject and the text of the one with this kind and key. `text` is a sentence for
    /// operators: the state, and the remedy.
    pub fn raise(&self, kind: ConditionKind, subject: &str, key: &str, text: &str) {
        let condition = condition(kind, subject, key, text);
        let mut standing = self.lock();
        let of_kind = standing.entry(kind).or_default();
        if of_kind.contains_key(&condition.key) || of_kind.len() < CONDITIONS_PER_KIND_MAX {
            of_kind.insert(condition.key.clone(), condition);
        }
    }

    /// Clears a condition that is over. Clearing one that does not stand changes nothing.
    pub fn clear(&self, kind: ConditionKind, key: &str) {
        let mut standing = self.lock();
        if let Some(of_kind) = standing.get_mut(&kind) {
            of_kind.remove(&*cut(key, TEXT_BYTES_MAX));
        }
    }

    /// Clears the conditions of a kind whose keys are not among these.
    pub fn retain(&self, kind: ConditionKind, keys: &BTreeSet<String>) {
        let keys: BTreeSet<_> = keys.iter().map(|key| cut(key, TEXT_BYTES_MAX)).collect();
        if let Some(of_kind) = self.lock().get_mut(&kind) {
            of_kind.retain(|key, _| keys.contains(key.as_str()));
        }
    }

    /// Clears all conditions of a kind.
    pub fn clear_all(&self, kind: ConditionKind) {
        self.lock().remove(&kind);
    }

    /// Conditions that stand, by kind and key.
    pub fn standing(&self) -> Vec<Condition> {
        self.lock().values().flat_map(BTreeMap::values).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ConditionKind, BTreeMap<String, Condition>>> {
        // Nothing is left half done under it.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn condition(kind: ConditionKind, subject: &str, key: &str, text: &str) -> Condition {
    let bounded = |text: &str| cut(text, TEXT_BYTES_MAX).into_owned();
    Condition {
        kind: kind.name().to_owned(),
        key: bounded(key),
        subject: bounded(subject),
        text: bounded(text),
        severity: kind.severity(),
    }
}
