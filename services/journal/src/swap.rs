//! The swap of the manifest, as one fenced transaction.
//!
//! Promises: a swap of unknown outcome is repeated until etcd has decided. Leaves what may be swapped to `manifest`.

use etcd_client::TxnOp;
use lepton_coordination::etcd::EtcdError;
use lepton_proto::journal::v1::Manifest;

use super::fence::{Conflict, Fence, Outcome, Repetition, found, revision};

/// A swap that has been sent, or will be.
pub(super) struct Swap {
    pub(super) next: Manifest,
    pub(super) bytes: Vec<u8>,
    /// The revision of the manifest that it replaces.
    pub(super) over: i64,
}

impl Swap {
    /// Sends the swap until etcd has decided.
    pub(super) async fn settle(&self, fence: &Fence) -> Result<Outcome, EtcdError> {
        let mut repetition = Repetition::default();
        loop {
            match self.send(fence).await {
                Err(error) if error.is_unknown() => repetition.wait(&error, "manifest").await,
                decided => return decided,
            }
        }
    }

    async fn send(&self, fence: &Fence) -> Result<Outcome, EtcdError> {
        let key = fence.etcd.keys().manifest();
        let compares = vec![fence.leads(), fence.manifest_is(self.over)];
        let put = vec![TxnOp::put(key, self.bytes.as_slice(), None)];
        let answer = fence
            .etcd
            .txn(compares, put, vec![fence.read_leader(), TxnOp::get(key, None)])
            .await?;
        if answer.succeeded() {
            return Ok(Outcome::Committed {
                revision: revision(&answer),
            });
        }
        let [leader, manifest] = found(&answer);
        // No id is used twice, so equal bytes are this swap's.
        let mine = manifest.as_ref().filter(|found| found.value() == self.bytes);
        Ok(match mine {
            Some(found) => Outcome::Committed {
                revision: found.mod_revision(),
            },
            // It may have been swapped in and out again since.
            None if !fence.is_held(leader.as_ref()) => Outcome::Fenced {
                definitely_not_committed: false,
            },
            None => Outcome::Refused(Conflict::ManifestMoved),
        })
    }
}
