//! Leases: a time to live that keys can hang on, without a clock of its own.
//!
//! Time is an argument (`now`, since the server started). A restart gives every lease its full time again, as etcd does for a new
//! leader: what was left is not recorded. Leaves deleting the keys of a lease to [`crate::machine`].

use crate::rpc_error::RpcError;
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

#[cfg(test)]
mod tests;

/// The shortest time to live, in seconds: etcd's, for its default election timeout of one second.
pub(crate) const TTL_MIN_SECONDS: i64 = 2;

/// The longest time to live, in seconds (etcd's `MaxLeaseTTL`).
pub(crate) const TTL_MAX_SECONDS: i64 = 9_000_000_000;

#[derive(Debug)]
struct Lease {
    ttl_seconds: i64,
    deadline: Duration,
    keys: BTreeSet<Bytes>,
}

impl Lease {
    fn ttl(&self) -> Duration {
        Duration::from_secs(self.ttl_seconds.unsigned_abs())
    }
}

/// One lease.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Remaining {
    pub seconds: i64,
    pub granted_seconds: i64,
}

/// All leases, by id and by deadline.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    by_id: BTreeMap<i64, Lease>,
    by_deadline: BTreeSet<(Duration, i64)>,
}

impl Leases {
    /// Grants lease `id`; returns the time to live given, which is never below the minimum.
    pub fn grant(&mut self, id: i64, ttl_seconds: i64, now: Duration) -> Result<i64, RpcError> {
        if ttl_seconds > TTL_MAX_SECONDS {
            return Err(RpcError::LeaseTtlTooLarge);
        }
        if self.exists(id) {
            return Err(RpcError::LeaseExists);
        }
        let lease = Lease {
            ttl_seconds: ttl_seconds.max(TTL_MIN_SECONDS),
            deadline: now,
            keys: BTreeSet::new(),
        };
        let given = lease.ttl_seconds;
        self.by_id.insert(id, lease);
        self.renew(id, now)?;
        Ok(given)
    }

    /// Starts a lease's time again; returns its time to live.
    pub fn renew(&mut self, id: i64, now: Duration) -> Result<i64, RpcError> {
        let lease = self.by_id.get_mut(&id).ok_or(RpcError::LeaseNotFound)?;
        self.by_deadline.remove(&(lease.deadline, id));
        lease.deadline = now + lease.ttl();
        self.by_deadline.insert((lease.deadline, id));
        Ok(lease.ttl_seconds)
    }

    /// Starts the time of all leases again.
    pub fn renew_all(&mut self, now: Duration) {
        self.by_deadline.clear();
        for (id, lease) in &mut self.by_id {
            lease.deadline = now + lease.ttl();
            self.by_deadline.insert((lease.deadline, *id));
        }
    }

    /// Ends a lease and returns the keys that hung on it, in order.
    pub fn revoke(&mut self, id: i64) -> Result<BTreeSet<Bytes>, RpcError> {
        let lease = self.by_id.remove(&id).ok_or(RpcError::LeaseNotFound)?;
        self.by_deadline.remove(&(lease.deadline, id));
        Ok(lease.keys)
    }

    pub fn exists(&self, id: i64) -> bool {
        self.by_id.contains_key(&id)
    }

    pub fn remaining(&self, id: i64, now: Duration) -> Option<Remaining> {
        let lease = self.by_id.get(&id)?;
        let left = lease.deadline.saturating_sub(now);
        Some(Remaining {
            seconds: left.as_secs() as i64,
            granted_seconds: lease.ttl_seconds,
        })
    }

    /// Keys on a lease, in order.
    pub fn keys(&self, id: i64) -> Vec<Bytes> {
        self.by_id
            .get(&id)
            .map(|lease| lease.keys.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// Ids and times to live, by deadline as etcd lists them.
    pub fn list(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.by_deadline
            .iter()
            .filter_map(|(_, id)| self.by_id.get(id).map(|lease| (*id, lease.ttl_seconds)))
    }

    /// The time at which the next lease ends.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// A lease that has ended by `now`, the earliest first.
    pub fn expired(&self, now: Duration) -> Option<i64> {
        self.by_deadline
            .first()
            .filter(|(deadline, _)| *deadline <= now)
            .map(|(_, id)| *id)
    }

    /// Moves `key` from lease `old` to lease `new`; 0 means none, and a lease that is gone holds no keys.
    pub fn reattach(&mut self, key: &Bytes, old: i64, new: i64) {
        if old == new {
            return;
        }
        if let Some(lease) = self.by_id.get_mut(&old) {
            lease.keys.remove(key);
        }
        if let Some(lease) = self.by_id.get_mut(&new) {
            lease.keys.insert(key.clone());
        }
    }
}
