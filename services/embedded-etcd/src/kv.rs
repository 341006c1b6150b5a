//! The store: a multi-version map from keys to values, without time, disk or network.
//!
//! Promises: one main revision per write transaction, none for one that changes nothing; reads at any revision from the last
//! compaction on; history in revision order for watches. Inside an open transaction reads see its own changes, as in etcd.
//! Leaves leases to [`crate::lease`], and the checks that come before a change to [`crate::check`] and [`crate::txn`].

use crate::{
    index::Index,
    keyrange::KeyRange,
    revision::{Revision, Version, detach},
    rpc_error::RpcError,
    wire::{RangeRequest, RangeResponse, ResponseHeader, SortOrder, SortTarget},
};
use std::{cmp::Ordering, collections::VecDeque, sync::Arc};

#[cfg(test)]
mod tests;

/// Keys, their history as [`Version`]s, and the transaction that is open.
#[derive(Debug)]
pub(crate) struct Store {
    index: Index,
    /// All versions at or above the compaction point, ascending.
    history: VecDeque<Arc<Version>>,
    /// Bytes of their keys and values.
    history_bytes: u64,
    revision: i64,
    compacted: i64,
    /// Changes of the open transaction; they are in the index and in history already.
    open: Vec<Arc<Version>>,
    bytes: usize,
}

impl Default for Store {
    /// An empty store starts at revision 1, never compacted.
    fn default() -> Self {
        Self {
            index: Index::default(),
            history: VecDeque::new(),
            history_bytes: 0,
            revision: 1,
            compacted: -1,
            open: Vec::new(),
            bytes: 0,
        }
    }
}

impl Store {
    /// Restores a store from the versions of a snapshot.
    pub fn restore(revision: i64, compacted: i64, versions: Vec<Version>) -> Self {
        let mut store = Self {
            revision,
            compacted,
            ..Self::default()
        };
        let mut history = Vec::new();
        for version in versions {
            let version = Arc::new(version);
            store.bytes += version.size();
            store.index.push(Arc::clone(&version));
            if version.modified.main >= compacted {
                store.history_bytes += version.size() as u64;
                history.push(version);
            }
        }
        history.sort_unstable_by_key(|version| version.modified);
        store.history = history.into();
        store
    }

    /// The revision of the last closed transaction.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The last compaction point; -1 before the first.
    pub fn compacted(&self) -> i64 {
        self.compacted
    }

    /// Bytes of all keys and values held, history included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the keys and values in history.
    pub fn history_bytes(&self) -> u64 {
        self.history_bytes
    }

    /// The revision to compact at so that history keeps about `bytes`; `None` where there is nothing to forget.
    pub fn revision_before(&self, bytes: u64) -> Option<i64> {
        let mut kept = 0;
        let mut newest_first = self.history.iter().rev();
        let first_out = newest_first.find(|version| {
            kept += version.size() as u64;
            kept > bytes
        })?;
        Some(first_out.modified.main).filter(|at| *at > self.compacted)
    }

    /// The revision as the open transaction sees it: it counts once it has changed something.
    pub fn head(&self) -> i64 {
        self.revision + i64::from(!self.open.is_empty())
    }

    /// Header of an answer, still without the ids of the server.
    pub fn header(&self) -> ResponseHeader {
        ResponseHeader {
            revision: self.head(),
            ..ResponseHeader::default()
        }
    }

    /// Every version held, for a snapshot.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<Version>> {
        self.index.all()
    }

    /// The newest version of a living key.
    pub fn live(&self, key: &[u8]) -> Option<&Arc<Version>> {
        self.index.live(key)
    }

    /// The newest versions of all living keys in `range`.
    pub fn live_in<'a>(&'a self, range: &'a KeyRange) -> impl Iterator<Item = &'a Arc<Version>> {
        self.index.scan(range, i64::MAX)
    }

    /// Changes from main revision `from` on, in order.
    pub fn changes_since(&self, from: i64) -> impl Iterator<Item = &Arc<Version>> {
        let start = self.history.partition_point(|version| version.modified.main < from);
        self.history.range(start..)
    }

    /// The version that `version` replaced; `None` also where compaction has removed it.
    pub fn previous(&self, version: &Version) -> Option<&Arc<Version>> {
        if version.modified.main - 1 < self.compacted {
            return None;
        }
        self.index.before(&version.key, version.modified)
    }

    /// Writes a key within the open transaction and returns its new version.
    pub fn put(&mut self, key: &[u8], value: &[u8], lease: i64) -> Arc<Version> {
        let modified = self.next();
        let (created, version) = self
            .live(key)
            .map_or((modified.main, 1), |old| (old.created, old.version + 1));
        let (key, value) = detach(key, value);
        self.push_open(Version {
            key,
            value,
            modified,
            created,
            version,
            lease,
        })
    }

    /// Deletes the living keys of `range` within the open transaction and returns their last versions, in key order.
    pub fn delete(&mut self, range: &KeyRange) -> Vec<Arc<Version>> {
        let doomed: Vec<_> = self.live_in(range).cloned().collect();
        for version in &doomed {
            let modified = self.next();
            self.push_open(Version::tombstone(version.key.clone(), modified));
        }
        doomed
    }

    /// Closes the transaction. Its changes, if any, become the next revision.
    pub fn close(&mut self) -> Vec<Arc<Version>> {
        self.revision = self.head();
        std::mem::take(&mut self.open)
    }

    /// Applies a [`Version`] of the log, in the order of its revision.
    pub fn replay(&mut self, version: Version) {
        self.revision = self.revision.max(version.modified.main);
        self.push(Arc::new(version));
    }

    /// Answers a [`RangeRequest`] at its revision.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, RpcError> {
        let at = self.readable(request.revision)?;
        let range = KeyRange::new(&request.key, &request.range_end);
        if request.count_only {
            let count = self.index.scan(&range, at).count() as i64;
            return Ok(RangeResponse {
                header: Some(self.header()),
                count,
                ..RangeResponse::default()
            });
        }
        let limit = usize::try_from(request.limit).unwrap_or(0);
        let (mut found, count) = self.find(request, &range, at, limit);
        order(request, &mut found);
        let more = limit > 0 && found.len() > limit;
        if more {
            found.truncate(limit);
        }
        let kvs = found
            .into_iter()
            .map(|version| version.to_kv(!request.keys_only))
            .collect();
        Ok(RangeResponse {
            header: Some(self.header()),
            kvs,
            more,
            count: count as i64,
        })
    }

    /// The revision at which a request for `revision` reads: [`Store::head`] for 0.
    pub fn readable(&self, revision: i64) -> Result<i64, RpcError> {
        match revision {
            ..=0 => Ok(self.head()),
            wanted if wanted > self.head() => Err(RpcError::FutureRevision),
            wanted if wanted < self.compacted => Err(RpcError::Compacted),
            wanted => Ok(wanted),
        }
    }

    /// Removes history before `at`. Versions that were current at that revision stay readable, earlier ones do not.
    pub fn compact(&mut self, at: i64) -> Result<(), RpcError> {
        if at <= self.compacted {
            return Err(RpcError::Compacted);
        }
        if at > self.revision {
            return Err(RpcError::FutureRevision);
        }
        self.compacted = at;
        let mut kept = Vec::new();
        let passed = self.history.partition_point(|version| version.modified.main <= at);
        for version in self.history.drain(..passed) {
            self.history_bytes -= version.size() as u64;
            self.bytes -= self.index.prune(&version.key, at);
            // A watch may still start at the compaction point itself.
            if version.modified.main == at && self.index.survives(&version, at) {
                kept.push(version);
            }
        }
        for version in kept.into_iter().rev() {
            self.history_bytes += version.size() as u64;
            self.history.push_front(version);
        }
        Ok(())
    }

    /// The versions that a range selects, before sorting, and how many keys it spans.
    ///
    /// The count ignores the filters, and without sorting or filters only one version beyond the limit is kept: both as in etcd.
    fn find<'a>(
        &'a self,
        request: &RangeRequest,
        range: &'a KeyRange,
        at: i64,
        limit: usize,
    ) -> (Vec<&'a Arc<Version>>, usize) {
        let take = if limit == 0 || is_sorted(request) || is_filtered(request) {
            usize::MAX
        } else {
            limit + 1
        };
        let mut found = Vec::new();
        let mut count = 0;
        for version in self.index.scan(range, at) {
            count += 1;
            if found.len() < take && passes(request, version) {
                found.push(version);
            }
        }
        (found, count)
    }

    fn next(&self) -> Revision {
        Revision {
            main: self.revision + 1,
            sub: self.open.len() as i64,
        }
    }

    fn push_open(&mut self, version: Version) -> Arc<Version> {
        let version = Arc::new(version);
        self.open.push(Arc::clone(&version));
        self.push(Arc::clone(&version));
        version
    }

    fn push(&mut self, version: Arc<Version>) {
        self.bytes += version.size();
        self.history_bytes += version.size() as u64;
        self.index.push(Arc::clone(&version));
        self.history.push_back(version);
    }
}

fn is_sorted(request: &RangeRequest) -> bool {
    request.sort_order() != SortOrder::None
}

fn is_filtered(request: &RangeRequest) -> bool {
    request.min_mod_revision != 0
        || request.max_mod_revision != 0
        || request.min_create_revision != 0
        || request.max_create_revision != 0
}

fn passes(request: &RangeRequest, version: &Version) -> bool {
    let within = |value: i64, min: i64, max: i64| (min == 0 || value >= min) && (max == 0 || value <= max);
    within(
        version.modified.main,
        request.min_mod_revision,
        request.max_mod_revision,
    ) && within(
        version.created,
        request.min_create_revision,
        request.max_create_revision,
    )
}

/// Sorts in the requested order. A range comes in ascending key order, so that order alone costs nothing.
fn order(request: &RangeRequest, found: &mut [&Arc<Version>]) {
    let target = request.sort_target();
    let direction = request.sort_order();
    if target == SortTarget::Key && direction != SortOrder::Descend {
        return;
    }
    let by: fn(&Version, &Version) -> Ordering = match target {
        SortTarget::Key => |a, b| a.key.cmp(&b.key),
        SortTarget::Version => |a, b| a.version.cmp(&b.version),
        SortTarget::Create => |a, b| a.created.cmp(&b.created),
        SortTarget::Mod => |a, b| a.modified.main.cmp(&b.modified.main),
        SortTarget::Value => |a, b| a.value.cmp(&b.value),
    };
    found.sort_by(|a, b| {
        if direction == SortOrder::Descend {
            by(b, a)
        } else {
            by(a, b)
        }
    });
}
