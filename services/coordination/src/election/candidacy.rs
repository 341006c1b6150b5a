//! One attempt to lead: a lease, a nonce, and the transaction that creates the key.
//!
//! Promises: a key is taken for ours only if it carries this candidacy's nonce, so a create that timed out and yet
//! applied leads, and a key of an earlier life of the same instance never does.

use etcd_client::{Compare, CompareOp, KeyValue, PutOptions, TxnOp, TxnOpResponse, TxnResponse};
use lepton_domain::ids::{Epoch, InstanceId};
use lepton_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Candidate, LEASE_TTL, Leadership, PAUSE, epoch};
use crate::etcd::change_notifier::ChangeNotifier;
use crate::etcd::lease::Lease;
use crate::etcd::{Etcd, EtcdError, incarnation};
use lepton_core::clock::Clock;
use lepton_core::context::Context;

/// Value of the leader key, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Claim {
    instance: String,
    nonce: String,
    since_us: u64,
}

impl Claim {
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        serde_json::from_slice(value).ok()
    }

    pub(super) fn instance(&self) -> InstanceId {
        InstanceId::new(self.instance.as_str())
    }

    pub(super) fn since(&self) -> Timestamp {
        Timestamp::from_micros(self.since_us)
    }
}

/// A candidate with what it needs to create the key.
pub(super) struct Candidacy {
    pub(super) etcd: Etcd,
    pub(super) key: String,
    pub(super) nonce: String,
    pub(super) incarnation: String,
    pub(super) lease: Lease,
    pub(super) instance: InstanceId,
    clock: Clock,
}

/// Result of one attempt to create the leader key.
enum Attempt {
    Leads(Epoch),
    /// Somebody else holds the key.
    Waits,
    /// The incarnation has changed since the candidacy was opened.
    Outdated,
}

impl Candidacy {
    pub(super) async fn open(etcd: &Etcd, candidate: &Candidate, context: &Context) -> Result<Self, EtcdError> {
        let incarnation = incarnation(etcd, &context.random).await?;
        let lease = Lease::grant(etcd, LEASE_TTL).await?;
        Ok(Self {
            etcd: etcd.clone(),
            key: etcd.keys().leader(&candidate.service),
            nonce: format!("{:032x}", context.random.next_u128()),
            incarnation,
            lease,
            instance: candidate.instance.clone(),
            clock: context.clock,
        })
    }

    /// Tries whenever the [`ChangeNotifier`] reports that the key may have become free. `None` when the candidacy is
    /// over and a new one is needed.
    pub(super) async fn campaign(self, notifier: &mut ChangeNotifier) -> Result<Option<Leadership>, EtcdError> {
        while !self.lease.is_lost() {
            match self.attempt().await {
                Ok(Attempt::Leads(epoch)) => return Ok(Some(Leadership::new(self, epoch))),
                Ok(Attempt::Outdated) => return Ok(None),
                Ok(Attempt::Waits) => tokio::select! {
                    () = notifier.changed() => {}
                    () = self.lease.lost() => {}
                },
                // The create may have applied: the next attempt finds our nonce there.
                Err(error) if error.is_unknown() => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn attempt(&self) -> Result<Attempt, EtcdError> {
        let known = self.etcd.keys().incarnation();
        let claim = Claim {
            instance: self.instance.as_str().to_owned(),
            nonce: self.nonce.clone(),
            since_us: self.clock.now().as_micros(),
        };
        let value = serde_json::to_vec(&claim).expect("texts and numbers always have a JSON form");
        let compares = vec![
            Compare::create_revision(self.key.as_str(), CompareOp::Equal, 0),
            Compare::value(known, CompareOp::Equal, self.incarnation.as_str()),
        ];
        let put = TxnOp::put(
            self.key.as_str(),
            value,
            Some(PutOptions::new().with_lease(self.lease.id())),
        );
        let gets = vec![TxnOp::get(self.key.as_str(), None), TxnOp::get(known, None)];
        let answer = self.etcd.txn(compares, vec![put], gets).await?;
        Ok(self.classify(&answer))
    }

    fn classify(&self, answer: &TxnResponse) -> Attempt {
        if answer.succeeded() {
            // Without a revision there is no epoch; the next attempt reads it from the key.
            return answer
                .header()
                .map_or(Attempt::Waits, |header| Attempt::Leads(epoch(header.revision())));
        }
        let mut found = answer.op_responses().into_iter().map(|op| match op {
            TxnOpResponse::Get(mut got) => got.take_kvs().into_iter().next(),
            _ => None,
        });
        let (leader, incarnation) = (found.next().flatten(), found.next().flatten());
        if incarnation.is_none_or(|kv| kv.value() != self.incarnation.as_bytes()) {
            return Attempt::Outdated;
        }
        match leader {
            Some(kv) if self.is_mine(&kv) => Attempt::Leads(epoch(kv.create_revision())),
            _ => Attempt::Waits,
        }
    }

    fn is_mine(&self, leader: &KeyValue) -> bool {
        Claim::read(leader.value()).is_some_and(|claim| claim.nonce == self.nonce)
    }
}
