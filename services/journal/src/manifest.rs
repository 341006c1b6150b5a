//! The manifest: which snapshots are kept, and with that, how far segments may go.
//!
//! Promises: it is swapped only by the leading epoch, over the manifest that this leader knows, for a snapshot of a
//! committed segment whose chunks are all there; a swap of unknown outcome is repeated and never given up, and no
//! chunk is deleted before the answer. Leaves writing chunks to `snapshot`.

use etcd_client::{DeleteOptions, GetOptions, TxnOp};
use lepton_domain::ids::Epoch;
use lepton_proto::journal::v1::{Manifest, SnapshotRef};
use prost::Message;

use super::append::{AppendError, Pending, Writer};
use super::error::SnapshotError;
use super::swap::Swap;
use super::{codec, read, snapshot};
use lepton_coordination::etcd::{Etcd, EtcdError};

/// Chunks deleted at once; etcd serves nobody else meanwhile.
const DELETE_CHUNKS: u32 = 16;

/// Why the manifest does not name a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SwapError {
    /// The writer cannot write.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The snapshot goes beyond what has committed.
    #[error("the snapshot goes up to segment {snapshot}, only {committed} has committed")]
    NotCommitted {
        /// The snapshot's segment.
        snapshot: u64,
        /// The last committed segment.
        committed: u64,
    },
    /// The newest snapshot is not older.
    #[error("the snapshot goes up to segment {snapshot}, the newest already up to {newest}")]
    NotNewer {
        /// The snapshot's segment.
        snapshot: u64,
        /// The newest snapshot's segment.
        newest: u64,
    },
    /// A chunk is missing or the header is bad.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The snapshot was taken of another history.
    #[error("the snapshot's segment {0} is not the one in the journal")]
    OtherHistory(u64),
}

impl Writer {
    /// Makes `new` the newest snapshot and the newest the older, whose segment becomes the floor; then deletes the
    /// chunks of the one that was older. Waits until etcd has decided, however long that takes.
    pub async fn swap_manifest(&mut self, new: SnapshotRef) -> Result<(), SwapError> {
        self.check_settled()?;
        self.check_snapshot(&new).await?;
        let dropped = self.manifest.older.clone();
        let next = Manifest {
            format: codec::MANIFEST_FORMAT,
            newest: Some(new),
            older: self.manifest.newest.clone(),
        };
        let (bytes, over) = (next.encode_to_vec(), self.position.manifest_revision);
        self.pending = Some(Pending::Swap(Swap { next, bytes, over }));
        self.settle().await?;
        if let Some(dropped) = dropped {
            self.delete_chunks(&dropped.id, dropped.chunk_count).await;
        }
        Ok(())
    }

    /// Takes note that a swap has committed.
    pub(super) fn swapped(&mut self, swap: Swap, revision: i64) {
        self.position.floor = read::floor(&swap.next);
        self.position.manifest_revision = revision;
        self.manifest = swap.next;
        self.bytes_since_snapshot = 0;
    }

    async fn check_snapshot(&self, new: &SnapshotRef) -> Result<(), SwapError> {
        let (snapshot, committed) = (new.segment, self.position.segment);
        if snapshot > committed {
            return Err(SwapError::NotCommitted { snapshot, committed });
        }
        let newest = self.manifest.newest.as_ref().map_or(0, |newest| newest.segment);
        if snapshot <= newest {
            return Err(SwapError::NotNewer { snapshot, newest });
        }
        let etcd = &self.fence.etcd;
        let head = snapshot::chunks(etcd, &new.id, 0, 1)
            .await?
            .pop()
            .and_then(|chunk| chunk.header);
        // The segment is above the newest snapshot's, so it is kept.
        let stored = read::segment(etcd, snapshot).await.map_err(AppendError::from)?;
        let hash = stored.map(|bytes| *blake3::hash(&bytes).as_bytes());
        if head.as_ref().map(|head| head.segment_hash.as_ref()) != hash.as_ref().map(<[u8; 32]>::as_slice) {
            return Err(SwapError::OtherHistory(snapshot));
        }
        self.check_chunks(new).await
    }

    /// Every chunk has to be there; the last one to be missing is the first to name.
    async fn check_chunks(&self, new: &SnapshotRef) -> Result<(), SwapError> {
        let etcd = &self.fence.etcd;
        let options = GetOptions::new().with_prefix().with_keys_only();
        let keys = read::keys_only(etcd, etcd.keys().snapshot_prefix(&new.id), options).await;
        let count = keys.map_err(AppendError::from)?.len();
        if count == new.chunk_count as usize {
            return Ok(());
        }
        let (id, chunk) = (new.id.clone(), u32::try_from(count).unwrap_or(u32::MAX));
        Err(SnapshotError::Chunk {
            id,
            chunk,
            why: codec::Damage::Missing,
        }
        .into())
    }

    /// Deletes the chunks of snapshots that no manifest can name any more: those of earlier epochs that this leader's
    /// manifest does not name. To be called once after a takeover.
    pub async fn sweep_snapshots(&mut self) -> Result<u32, AppendError> {
        self.check_settled()?;
        let mut swept = 0;
        for id in snapshot_ids(&self.fence.etcd).await? {
            let named = [&self.manifest.newest, &self.manifest.older]
                .into_iter()
                .flatten()
                .any(|it| it.id == id);
            if !named && epoch_of(&id).is_none_or(|epoch| epoch < self.epoch) {
                let options = GetOptions::new().with_prefix().with_keys_only();
                let keys = read::keys_only(&self.fence.etcd, self.fence.etcd.keys().snapshot_prefix(&id), options);
                let count = keys.await?.iter().filter_map(|entry| chunk_number(entry.key())).max();
                self.delete_chunks(&id, count.map_or(0, |last| last + 1)).await;
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// Deletes a snapshot's chunks in small steps. What fails is left for the next sweep.
    async fn delete_chunks(&self, id: &str, count: u32) {
        let (fence, keys) = (&self.fence, self.fence.etcd.keys());
        for first in (0..count).step_by(DELETE_CHUNKS as usize) {
            let end = keys.snapshot_chunk(id, first.saturating_add(DELETE_CHUNKS));
            let options = DeleteOptions::new().with_range(end);
            let delete = vec![TxnOp::delete(keys.snapshot_chunk(id, first), Some(options))];
            let compares = vec![fence.leads(), fence.manifest_is(self.position.manifest_revision)];
            if let Err(error) = fence.etcd.txn(compares, delete, Vec::new()).await {
                tracing::debug!(%error, snapshot = id, "chunks of an old snapshot stay for the next sweep");
                return;
            }
        }
    }
}

/// The ids of all snapshots that have a chunk, found by jumping from one to the next.
async fn snapshot_ids(etcd: &Etcd) -> Result<Vec<String>, EtcdError> {
    let prefix = etcd.keys().snapshots_prefix();
    let end = lepton_coordination::etcd::keys::prefix_end(prefix.as_bytes());
    let (mut ids, mut from) = (Vec::new(), prefix.clone().into_bytes());
    loop {
        let options = GetOptions::new().with_range(end.clone()).with_keys_only().with_limit(1);
        let found = read::keys_only(etcd, from, options).await?;
        let id = found
            .first()
            .and_then(|entry| entry.key_str().ok()?.strip_prefix(&prefix)?.split('/').next());
        let Some(id) = id else { return Ok(ids) };
        from = lepton_coordination::etcd::keys::prefix_end(etcd.keys().snapshot_prefix(id).as_bytes());
        ids.push(id.to_owned());
    }
}

fn chunk_number(key: &[u8]) -> Option<u32> {
    std::str::from_utf8(key).ok()?.rsplit('/').next()?.parse().ok()
}

/// The epoch that an id starts with.
fn epoch_of(id: &str) -> Option<Epoch> {
    id.split_once('-')?.0.parse().ok().map(Epoch)
}
