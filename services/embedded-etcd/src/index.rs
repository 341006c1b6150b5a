//! The index: every key's versions that history still holds, ordered by key and by revision.
//!
//! Promises that a lookup at a revision costs a binary search in one key's versions. Leaves revisions and compaction points to [`crate::kv`].

use crate::{
    keyrange::KeyRange,
    revision::{Revision, Version},
};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc};

/// [`Version`]s by key, each list ascending by revision and never empty.
#[derive(Debug, Default)]
pub(crate) struct Index {
    keys: BTreeMap<Bytes, Vec<Arc<Version>>>,
}

impl Index {
    /// Adds the newest version of its key.
    pub fn push(&mut self, version: Arc<Version>) {
        match self.keys.get_mut(&version.key) {
            Some(versions) => versions.push(version),
            None => {
                self.keys.insert(version.key.clone(), vec![version]);
            }
        }
    }

    /// The newest version, if the key is alive.
    pub fn live(&self, key: &[u8]) -> Option<&Arc<Version>> {
        self.keys.get(key)?.last().filter(|version| !version.is_tombstone())
    }

    /// The version of the key at main revision `at`, if it was alive then.
    pub fn alive_at(&self, key: &[u8], at: i64) -> Option<&Arc<Version>> {
        alive(self.keys.get(key)?, at)
    }

    /// The keys of `range` that were alive at main revision `at`, in key order.
    pub fn scan<'a>(&'a self, range: &'a KeyRange, at: i64) -> impl Iterator<Item = &'a Arc<Version>> {
        let keys = range.bounds().map(|bounds| self.keys.range::<[u8], _>(bounds));
        keys.into_iter()
            .flatten()
            .filter_map(move |(_, versions)| alive(versions, at))
    }

    /// Every version, in key order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Version>> {
        self.keys.values().flatten()
    }

    /// Returns true if a compaction at `at` must keep this version: it was current at that revision.
    pub fn survives(&self, version: &Version, at: i64) -> bool {
        self.alive_at(&version.key, at)
            .is_some_and(|kept| kept.modified == version.modified)
    }

    /// Removes the versions of `key` before main revision `at`, and a tombstone that was current then. Returns the bytes freed.
    pub fn prune(&mut self, key: &[u8], at: i64) -> usize {
        let Some(versions) = self.keys.get_mut(key) else {
            return 0;
        };
        let passed = versions.partition_point(|version| version.modified.main <= at);
        let alive = passed > 0 && !versions[passed - 1].is_tombstone();
        let freed = versions
            .drain(..passed - usize::from(alive))
            .map(|version| version.size())
            .sum();
        if versions.is_empty() {
            self.keys.remove(key);
        } else if versions.capacity() > 2 * versions.len().max(2) {
            versions.shrink_to_fit();
        }
        freed
    }

    /// The version that `revision` replaced, if the key was alive then.
    pub fn before(&self, key: &[u8], revision: Revision) -> Option<&Arc<Version>> {
        let versions = self.keys.get(key)?;
        let passed = versions.partition_point(|version| version.modified < revision);
        versions[..passed].last().filter(|version| !version.is_tombstone())
    }
}

fn alive(versions: &[Arc<Version>], at: i64) -> Option<&Arc<Version>> {
    let passed = versions.partition_point(|version| version.modified.main <= at);
    versions[..passed].last().filter(|version| !version.is_tombstone())
}
