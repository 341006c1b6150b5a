//! Digest over the whole state, updated in constant time by a change.
//!
//! Promises: additive over tasks, so that order does not matter and removal undoes addition; two replicas with equal
//! digests have the same tasks. Leaves comparing replicas to the scheduler.

use std::fmt;
use std::str::FromStr;

use super::encode;
use crate::hex::{self, NotHex};
use crate::ids::{Kind, TaskId, Tenant};
use crate::task::Task;

/// Sum over all tasks, two parts each, of their [BLAKE3](https://github.com/BLAKE3-team/BLAKE3) hashes, as four
/// wrapping lanes of 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateDigest(pub [u64; 4]);

/// Task whose hash differs from the one in the digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("task {task} hashes to {actual}, the digest has {expected}")]
pub struct Mismatch {
    /// Task.
    pub task: TaskId,
    /// Hash at the last change of the task.
    pub expected: StateDigest,
    /// Present hash.
    pub actual: StateDigest,
}

impl StateDigest {
    /// Digest of no tasks.
    pub const EMPTY: Self = Self([0; 4]);

    /// Hash of one task.
    pub fn of(task: &Task) -> Self {
        let (mut hash, moving) = Self::parts(task);
        hash.add(&moving);
        hash
    }

    /// Hashes of a task's two parts, [`Parts`](super::encode::Parts).
    pub(super) fn parts(task: &Task) -> (Self, Self) {
        let parts = encode::task(task);
        (Self::hash(&parts.fixed), Self::hash(&parts.moving))
    }

    /// Hash of the changing part.
    pub(super) fn moving(task: &Task) -> Self {
        Self::hash(&encode::moving(task))
    }

    /// Hash of a paused kind.
    pub(super) fn of_paused(tenant: &Tenant, kind: &Kind) -> Self {
        Self::hash(&encode::paused(tenant, kind))
    }

    fn hash(bytes: &[u8]) -> Self {
        Self::from_bytes(*blake3::hash(bytes).as_bytes())
    }

    /// Adds a task's hash.
    pub fn add(&mut self, hash: &Self) {
        for (lane, other) in self.0.iter_mut().zip(hash.0) {
            *lane = lane.wrapping_add(other);
        }
    }

    /// Subtracts a task's hash.
    pub fn remove(&mut self, hash: &Self) {
        for (lane, other) in self.0.iter_mut().zip(hash.0) {
            *lane = lane.wrapping_sub(other);
        }
    }

    /// Lanes as little-endian bytes.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, lane) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&lane.to_le_bytes());
        }
        bytes
    }

    /// Digest of these bytes, the inverse of [`StateDigest::to_bytes`].
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let mut lanes = [0; 4];
        for (lane, chunk) in lanes.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *lane = u64::from_le_bytes(*chunk);
        }
        Self(lanes)
    }
}

impl fmt::Display for StateDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.to_bytes(), out)
    }
}

impl fmt::Debug for StateDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for StateDigest {
    type Err = NotHex;

    fn from_str(text: &str) -> Result<Self, NotHex> {
        hex::read(text).map(Self::from_bytes)
    }
}
