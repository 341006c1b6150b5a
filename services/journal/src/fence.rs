//! The transactions that only the leader of an epoch can make, and how their outcome is settled.
//!
//! Promises: an append commits only while its epoch leads, against the manifest that its writer knows, into an empty
//! slot, after the segment before. Repeating is always byte for byte the same, until etcd has decided; an answer that
//! did not come decides nothing. Leaves what to do about the outcome to the phases.

use std::time::Duration;

use etcd_client::{Compare, CompareOp, KeyValue, TxnOp, TxnOpResponse, TxnResponse};
use lepton_domain::ids::Epoch;

use super::codec::{self, Sealed};
use super::{LEADER_SERVICE, Position, read};
use lepton_coordination::etcd::{Etcd, EtcdError};
use lepton_core::backoff::Backoff;

/// First wait before a repetition. etcd answers in one or two milliseconds when all is well.
const BACKOFF_FIRST: Duration = Duration::from_millis(5);
/// Longest wait: what etcd's return costs at most.
const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// Proof, given to etcd with every write, that the epoch still leads.
#[derive(Clone)]
pub(super) struct Fence {
    pub etcd: Etcd,
    leader_key: String,
    epoch: i64,
}

/// An append that has been sent, or will be, and what holds once it has committed.
#[derive(Debug, Clone)]
pub(super) struct InFlight {
    /// The bytes that every repetition sends.
    pub sealed: Sealed,
    /// The position after it; its floor and manifest revision are those that the transaction compares.
    pub after: Position,
}

/// Decision of etcd about an append; see [`Fence`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The slot holds these bytes.
    Committed {
        /// The store's revision that put them there, or one in which they were seen there.
        revision: i64,
    },
    /// The epoch no longer leads.
    Fenced {
        /// True if the append surely never committed; false only once the slot may have been trimmed.
        definitely_not_committed: bool,
    },
    /// The epoch leads, but something is not as its leader knows it.
    Refused(Conflict),
}

/// Why an append by the leading epoch was refused. Before its first commit a leader reads on; after it, this means
/// that etcd lost data or that another program writes the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// The slot holds another segment.
    #[error("the slot holds another segment")]
    Taken,
    /// The manifest is not the one that the leader knows.
    #[error("the manifest has changed")]
    ManifestMoved,
    /// The segment before is not there.
    #[error("the segment before is not there")]
    Gap,
}

impl Fence {
    pub(super) fn new(etcd: &Etcd, epoch: Epoch) -> Self {
        let leader_key = etcd.keys().leader(LEADER_SERVICE);
        Self {
            etcd: etcd.clone(),
            leader_key,
            epoch: epoch.0.cast_signed(),
        }
    }

    /// Holds while the epoch leads.
    pub(super) fn leads(&self) -> Compare {
        Compare::create_revision(self.leader_key.as_str(), CompareOp::Equal, self.epoch)
    }

    /// Holds while the manifest is the one of this revision.
    pub(super) fn manifest_is(&self, revision: i64) -> Compare {
        Compare::mod_revision(self.etcd.keys().manifest(), CompareOp::Equal, revision)
    }

    /// Holds while there is no segment of this number.
    pub(super) fn slot_is_empty(&self, segment: u64) -> Compare {
        Compare::create_revision(self.etcd.keys().segment(segment), CompareOp::Equal, 0)
    }

    /// Holds while there is a segment of this number.
    pub(super) fn slot_is_taken(&self, segment: u64) -> Compare {
        Compare::create_revision(self.etcd.keys().segment(segment), CompareOp::Greater, 0)
    }

    /// Reads the leader key within a transaction; `is_held` looks at what it found.
    pub(super) fn read_leader(&self) -> TxnOp {
        TxnOp::get(self.leader_key.as_str(), None)
    }

    /// Returns whether the leader key that was found is that of the epoch.
    pub(super) fn is_held(&self, found: Option<&KeyValue>) -> bool {
        found.is_some_and(|leader| leader.create_revision() == self.epoch)
    }

    /// Repeats the append until etcd has decided. Only an outright refusal of etcd is an error, and leaves open
    /// the outcome of the copies sent before: the append has to be settled again.
    pub(super) async fn settle(&self, append: &InFlight) -> Result<Outcome, EtcdError> {
        let mut repetition = Repetition::default();
        loop {
            match self.append(append).await {
                Err(error) if error.is_unknown() => repetition.wait(&error, "append").await,
                decided => return decided,
            }
        }
    }

    /// Sends the append once.
    async fn append(&self, append: &InFlight) -> Result<Outcome, EtcdError> {
        let InFlight { sealed, after } = append;
        let (number, keys) = (after.segment, self.etcd.keys());
        let slot = keys.segment(number);
        let mut compares = vec![
            self.leads(),
            self.manifest_is(after.manifest_revision),
            self.slot_is_empty(number),
        ];
        if number != after.floor + 1 {
            compares.push(self.slot_is_taken(number - 1));
        }
        let put = TxnOp::put(slot.as_str(), sealed.bytes.as_slice(), None);
        let look = vec![
            self.read_leader(),
            TxnOp::get(keys.manifest(), None),
            TxnOp::get(slot, None),
        ];
        let answer = self.etcd.txn(compares, vec![put], look).await?;
        Ok(match answer.succeeded() {
            true => Outcome::Committed {
                revision: revision(&answer),
            },
            false => self.classify(append, &answer),
        })
    }

    /// Reads the outcome from what a refused append found: leader, manifest, slot.
    fn classify(&self, append: &InFlight, answer: &TxnResponse) -> Outcome {
        let [leader, manifest, slot] = found(answer);
        if slot.as_ref().is_some_and(|slot| slot.value() == append.sealed.bytes) {
            return Outcome::Committed {
                revision: revision(answer),
            };
        }
        if !self.is_held(leader.as_ref()) {
            let floor = manifest.as_ref().map(|entry| codec::decode_manifest(entry.value()));
            // Below the floor an empty slot may be one that was trimmed.
            let kept = floor.is_none_or(|manifest| manifest.is_ok_and(|it| append.after.segment > read::floor(&it)));
            return Outcome::Fenced {
                definitely_not_committed: slot.is_some() || kept,
            };
        }
        Outcome::Refused(match manifest.map_or(0, |entry| entry.mod_revision()) {
            _ if slot.is_some() => Conflict::Taken,
            found if found != append.after.manifest_revision => Conflict::ManifestMoved,
            _ => Conflict::Gap,
        })
    }
}

/// The store's revision in an answer.
pub(super) fn revision(answer: &TxnResponse) -> i64 {
    answer.header().map_or(0, |header| header.revision())
}

/// The key that each `get` of a transaction found, in order.
pub(super) fn found<const N: usize>(answer: &TxnResponse) -> [Option<KeyValue>; N] {
    let mut responses = answer.op_responses().into_iter();
    std::array::from_fn(|_| match responses.next() {
        Some(TxnOpResponse::Get(mut found)) => found.take_kvs().into_iter().next(),
        _ => None,
    })
}

/// Delays between repetitions of a request whose outcome is not known.
pub(super) struct Repetition {
    backoff: Backoff,
}

impl Default for Repetition {
    fn default() -> Self {
        Self {
            backoff: Backoff::new(BACKOFF_FIRST, BACKOFF_MAX),
        }
    }
}

impl Repetition {
    /// Waits before the next repetition, and logs `error` once the wait is long enough to matter.
    pub(super) async fn wait(&mut self, error: &EtcdError, what: &str) {
        let delay = self.backoff.delay();
        if delay == BACKOFF_MAX {
            tracing::warn!(%error, what, "the outcome is not known yet; asking again");
        }
        tokio::time::sleep(delay).await;
    }

    /// Waits before the next attempt.
    pub(super) async fn pause(&mut self) {
        tokio::time::sleep(self.backoff.delay()).await;
    }
}
