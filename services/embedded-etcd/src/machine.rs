//! The state machine: store and leases together, one request after the other, without disk or network.
//!
//! Every request that changes something leaves one [`Entry`]; replaying the entries in order gives the same state. Leaves making
//! entries durable, and holding answers back until they are, to [`crate::owner`] and [`crate::log`].

use crate::{
    compact,
    entry::{Base, Change, Entry, Granted},
    keyrange::KeyRange,
    kv::Store,
    lease::Leases,
    revision::Version,
    rpc_error::RpcError,
    txn,
    wire::{
        CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, LeaseGrantRequest,
        LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseLeasesResponse, LeaseRevokeRequest,
        LeaseRevokeResponse, LeaseStatus, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, PutRequest, PutResponse,
        RangeRequest, RangeResponse, ResponseHeader, TxnRequest, TxnResponse,
    },
};
use std::{sync::Arc, time::Duration};

#[cfg(test)]
mod tests;

/// Ids in every header: those of the first member of an etcd that was started with no options.
pub(crate) const CLUSTER_ID: u64 = 0xcdf8_1819_4e3a_8c32;
/// The only member.
pub(crate) const MEMBER_ID: u64 = 0x8e9e_05c5_2164_694d;
/// The term of a single node's first and only leader.
pub(crate) const TERM: u64 = 2;

/// All state of the server.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    store: Store,
    leases: Leases,
    /// Number of entries so far, those of earlier starts included.
    index: u64,
    /// Mixed into the lease ids that the server picks.
    seed: u64,
    /// Entries that [`Machine::take_fresh`] has not returned yet.
    fresh: Vec<Entry>,
}

/// A copy of the state that shares keys and values, for a snapshot.
#[derive(Debug)]
pub(crate) struct Image {
    pub base: Base,
    pub leases: Vec<Granted>,
    pub versions: Vec<Arc<Version>>,
}

impl Machine {
    /// An empty machine.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// Restores a machine from a snapshot.
    pub fn restore(seed: u64, base: Base, leases: Vec<Granted>, versions: Vec<Version>) -> Self {
        let store = Store::restore(base.revision, base.compacted, versions);
        let mut machine = Self {
            store,
            index: base.index,
            seed,
            ..Self::default()
        };
        for granted in leases {
            machine.replay_grant(granted);
        }
        for version in machine.store.versions().filter(|version| version.lease != 0) {
            if machine
                .store
                .live(&version.key)
                .is_some_and(|live| live.modified == version.modified)
            {
                machine.leases.reattach(&version.key, 0, version.lease);
            }
        }
        machine
    }

    /// Applies an [`Entry`] of an earlier start.
    pub fn replay(&mut self, entry: Entry) {
        self.index += 1;
        if let Some(granted) = entry.granted {
            self.replay_grant(granted);
        }
        for change in entry.changes {
            self.replay_change(change);
        }
        if let Some(id) = entry.revoked {
            // Its keys were deleted by the changes above.
            self.leases.revoke(id).ok();
        }
        if let Some(at) = entry.compacted {
            self.store.compact(at).ok();
        }
    }

    /// Copies the state as an [`Image`].
    pub fn image(&self) -> Image {
        let base = Base {
            index: self.index,
            revision: self.store.revision(),
            compacted: self.store.compacted(),
        };
        let leases = self
            .leases
            .list()
            .map(|(id, ttl_seconds)| Granted { id, ttl_seconds })
            .collect();
        Image {
            base,
            leases,
            versions: self.store.versions().cloned().collect(),
        }
    }

    /// Takes the entries made since the last call.
    pub fn take_fresh(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.fresh)
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Starts the time of all leases again, at the start of the server.
    pub fn renew_leases(&mut self, now: Duration) {
        self.leases.renew_all(now);
    }

    /// The time at which the next lease ends.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.leases.next_deadline()
    }

    pub fn index(&self) -> u64 {
        self.index
    }

    /// A header at the current revision.
    pub fn header(&self) -> ResponseHeader {
        header(self.store.revision())
    }

    pub fn range(&mut self, request: &RangeRequest) -> Result<RangeResponse, RpcError> {
        let response = self.store.range(request)?;
        Ok(RangeResponse {
            header: Some(self.header()),
            ..response
        })
    }

    pub fn put(&mut self, request: &PutRequest) -> Result<PutResponse, RpcError> {
        txn::admit_put(&self.store, &self.leases, request)?;
        let response = txn::put(&mut self.store, &mut self.leases, request);
        self.seal();
        Ok(PutResponse {
            header: Some(self.header()),
            ..response
        })
    }

    pub fn delete(&mut self, request: &DeleteRangeRequest) -> Result<DeleteRangeResponse, RpcError> {
        let response = txn::delete(&mut self.store, &mut self.leases, request);
        self.seal();
        Ok(DeleteRangeResponse {
            header: Some(self.header()),
            ..response
        })
    }

    pub fn txn(&mut self, request: &TxnRequest) -> Result<TxnResponse, RpcError> {
        let succeeded = request.compare.iter().all(|compare| txn::holds(&self.store, compare));
        let branch = if succeeded { &request.success } else { &request.failure };
        txn::admit(&self.store, &self.leases, branch)?;
        let mut responses = Vec::with_capacity(branch.len());
        for op in branch {
            responses.push(txn::run(&mut self.store, &mut self.leases, op)?);
        }
        self.seal();
        Ok(TxnResponse {
            header: Some(self.header()),
            succeeded,
            responses,
        })
    }

    pub fn compact(&mut self, request: &CompactionRequest) -> Result<CompactionResponse, RpcError> {
        self.store.compact(request.revision)?;
        self.push(Entry {
            compacted: Some(request.revision),
            ..Entry::default()
        });
        Ok(CompactionResponse {
            header: Some(self.header()),
        })
    }

    /// The revision for automatic compaction now, if one is due ([`crate::compact`]).
    pub fn compaction_due(&self, revisions: Option<u64>, bytes: Option<u64>) -> Option<CompactionRequest> {
        let store = &self.store;
        let by_number = revisions.and_then(|keep| compact::due(store.revision(), store.compacted(), keep));
        let by_bytes = bytes
            .filter(|keep| compact::too_large(store.history_bytes(), *keep))
            .and_then(|keep| store.revision_before(keep));
        by_number.max(by_bytes).map(|revision| CompactionRequest { revision })
    }

    pub fn grant(&mut self, request: &LeaseGrantRequest, now: Duration) -> Result<LeaseGrantResponse, RpcError> {
        let id = if request.id == 0 {
            self.pick_lease_id()
        } else {
            request.id
        };
        let ttl = self.leases.grant(id, request.ttl, now)?;
        self.push(Entry {
            granted: Some(Granted { id, ttl_seconds: ttl }),
            ..Entry::default()
        });
        Ok(LeaseGrantResponse {
            header: Some(self.header()),
            id,
            ttl,
        })
    }

    pub fn revoke(&mut self, request: &LeaseRevokeRequest) -> Result<LeaseRevokeResponse, RpcError> {
        self.end_lease(request.id)?;
        Ok(LeaseRevokeResponse {
            header: Some(self.header()),
        })
    }

    pub fn keep_alive(&mut self, request: &LeaseKeepAliveRequest, now: Duration) -> LeaseKeepAliveResponse {
        let ttl = self.leases.renew(request.id, now).unwrap_or(0);
        LeaseKeepAliveResponse {
            header: Some(self.header()),
            id: request.id,
            ttl,
        }
    }

    pub fn time_to_live(&mut self, request: &LeaseTimeToLiveRequest, now: Duration) -> LeaseTimeToLiveResponse {
        let (ttl, granted_ttl) = match self.leases.remaining(request.id, now) {
            Some(remaining) => (remaining.seconds, remaining.granted_seconds),
            None => (-1, 0),
        };
        let keys = if request.keys {
            self.leases.keys(request.id)
        } else {
            Vec::new()
        };
        LeaseTimeToLiveResponse {
            header: Some(self.header()),
            id: request.id,
            ttl,
            granted_ttl,
            keys,
        }
    }

    pub fn leases(&self) -> LeaseLeasesResponse {
        let leases = self.leases.list().map(|(id, _)| LeaseStatus { id }).collect();
        LeaseLeasesResponse {
            header: Some(self.header()),
            leases,
        }
    }

    /// Ends leases whose time is over, and deletes their keys: a revision for each that had any.
    pub fn expire(&mut self, now: Duration) {
        while let Some(id) = self.leases.expired(now) {
            self.end_lease(id).ok();
        }
    }

    fn end_lease(&mut self, id: i64) -> Result<(), RpcError> {
        for key in self.leases.revoke(id)? {
            self.store.delete(&KeyRange::One(key));
        }
        let changes = self.close();
        self.push(Entry {
            changes,
            revoked: Some(id),
            ..Entry::default()
        });
        Ok(())
    }

    /// Closes the open transaction and keeps its entry, unless it changed nothing.
    fn seal(&mut self) {
        let changes = self.close();
        if !changes.is_empty() {
            self.push(Entry {
                changes,
                ..Entry::default()
            });
        }
    }

    fn close(&mut self) -> Vec<Change> {
        self.store
            .close()
            .iter()
            .map(|version| Change::from(version.as_ref()))
            .collect()
    }

    fn push(&mut self, entry: Entry) {
        self.index += 1;
        self.fresh.push(entry);
    }

    fn replay_grant(&mut self, granted: Granted) {
        // An id that is there already came with the snapshot; times start again when the server runs.
        self.leases.grant(granted.id, granted.ttl_seconds, Duration::ZERO).ok();
    }

    fn replay_change(&mut self, change: Change) {
        let version = Version::from(change);
        let old = self.store.live(&version.key).map_or(0, |old| old.lease);
        self.leases.reattach(&version.key, old, version.lease);
        self.store.replay(version);
    }

    /// An id that no lease has. The index never returns, and the mix is one to one, so ids do not repeat over restarts either.
    fn pick_lease_id(&self) -> i64 {
        let mut state = self.seed ^ (self.index + 1);
        loop {
            state = mix(state);
            let id = (state >> 1) as i64;
            if id != 0 && !self.leases.exists(id) {
                return id;
            }
        }
    }
}

/// A header at `revision`.
pub(crate) fn header(revision: i64) -> ResponseHeader {
    ResponseHeader {
        cluster_id: CLUSTER_ID,
        member_id: MEMBER_ID,
        revision,
        raft_term: TERM,
    }
}

/// The finaliser of SplitMix64.
fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
