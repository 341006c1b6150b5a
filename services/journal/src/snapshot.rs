//! Snapshots: the ledger after some segment, in chunks.
//!
//! Promises: a snapshot that loads is the ledger that was written, tasks, digest and place in the chain included; no
//! id is used twice; writing gives a reference only after every chunk is confirmed. Leaves naming it to `manifest`.

use std::sync::Arc;

use bytes::Bytes;
use etcd_client::TxnOp;
use lepton_domain::ids::Epoch;
use lepton_domain::ledger::{Header, Ledger};
use lepton_domain::task::Task;
use lepton_proto::convert::snapshot::snapshot_header;
use lepton_proto::journal::v1::{SnapshotChunk, SnapshotHeader, SnapshotRef, TaskRecord};
use prost::Message;

use super::codec::{self, Damage};
pub use super::error::SnapshotError;
use super::fence::Repetition;
use super::{Position, Replica};
use lepton_coordination::etcd::{Etcd, EtcdError};
use lepton_core::random::Random;

/// Largest chunk, bytes. Larger writes delay the appends beside them.
pub const CHUNK_BYTES_MAX: usize = 256 << 10;

/// Chunks asked for at once: about a megabyte an answer.
const RANGE_CHUNKS: u32 = 4;

/// Below this the log since the last snapshot is short enough to replay, bytes.
pub const THRESHOLD_BYTES_DEFAULT: u64 = 64 << 20;

/// Returns whether a snapshot is due: the log since the last one exceeds the threshold and the snapshot's own size.
pub fn needed(bytes_since: u64, last_snapshot_bytes: u64, threshold: u64) -> bool {
    bytes_since > threshold.max(last_snapshot_bytes)
}

/// An id for a snapshot in this epoch. It starts with the epoch, so that later leaders recognise leftovers.
pub fn fresh_id(epoch: Epoch, random: &Random) -> String {
    format!("{:020}-{}", epoch.0, random.token())
}

/// A ledger at one moment: sharing its tasks, so that freezing is quick and the ledger can go on.
#[derive(Debug, Clone)]
pub struct Frozen {
    header: Header,
    tasks: Vec<Arc<Task>>,
}

impl Frozen {
    /// Freezes the ledger. A leader does so between two batches and writes once the former has committed.
    pub fn of(ledger: &Ledger) -> Self {
        Self {
            header: ledger.snapshot_header(),
            tasks: ledger.tasks().cloned().collect(),
        }
    }
}

fn record(task: &Arc<Task>) -> TaskRecord {
    task.as_ref().into()
}

/// Writes the frozen ledger, which must be that after `position`, and waits until every chunk is confirmed. While etcd
/// does not answer it waits.
pub async fn write(etcd: &Etcd, id: &str, position: &Position, frozen: &Frozen) -> Result<SnapshotRef, SnapshotError> {
    let Frozen { header, tasks } = frozen;
    if header.seq != position.seq {
        return Err(SnapshotError::Elsewhere {
            frozen: header.seq.0,
            segment: position.seq.0,
        });
    }
    let mut head = Some(snapshot_header(
        header,
        position.segment,
        Bytes::copy_from_slice(&position.hash),
    ));
    let mut tasks = tasks.iter().map(record).peekable();
    let (mut number, mut bytes) = (0, 0);
    while head.is_some() || tasks.peek().is_some() {
        let chunk = codec::encode_chunk(fill(header.format, number, head.take(), &mut tasks));
        bytes += chunk.len() as u64;
        put(etcd, etcd.keys().snapshot_chunk(id, number), &chunk).await?;
        number += 1;
    }
    Ok(SnapshotRef {
        id: id.to_owned(),
        segment: position.segment,
        chunk_count: number,
        bytes,
    })
}

/// The next chunk: as many tasks as fit, at least one.
fn fill(
    format: u32,
    number: u32,
    header: Option<SnapshotHeader>,
    tasks: &mut std::iter::Peekable<impl Iterator<Item = TaskRecord>>,
) -> SnapshotChunk {
    let mut chunk = SnapshotChunk {
        format,
        number,
        header,
        tasks: Vec::new(),
        crc: 0,
    };
    // The numbers around the tasks, the tag and length of each, and the checksum stay below this.
    const FRAME: usize = 16;
    let mut bytes = chunk.encoded_len() + FRAME;
    while let Some(task) = tasks.next_if(|task| {
        bytes += task.encoded_len() + FRAME;
        bytes <= CHUNK_BYTES_MAX
    }) {
        chunk.tasks.push(task);
    }
    if chunk.tasks.is_empty() {
        chunk.tasks.extend(tasks.next());
    }
    chunk
}

/// Puts a chunk until etcd has confirmed it. Repeating is safe: the id is new, so the key has no other content.
async fn put(etcd: &Etcd, key: String, chunk: &[u8]) -> Result<(), EtcdError> {
    let mut repetition = Repetition::default();
    loop {
        let put = vec![TxnOp::put(key.as_str(), chunk, None)];
        match etcd.txn(Vec::new(), put, Vec::new()).await {
            Err(error) if error.is_unknown() => repetition.wait(&error, "snapshot chunk").await,
            decided => return decided.map(|_| ()),
        }
    }
}

/// Loads a snapshot as a [`Replica`] that stands right after its segment. The manifest is not part of it.
pub(super) async fn load(etcd: &Etcd, reference: &SnapshotRef) -> Result<Replica, SnapshotError> {
    let id = reference.id.as_str();
    let whole = |why| SnapshotError::Whole { id: id.to_owned(), why };
    let mut header = None;
    let mut tasks = Vec::new();
    for first in (0..reference.chunk_count).step_by(RANGE_CHUNKS as usize) {
        let end = reference.chunk_count.min(first + RANGE_CHUNKS);
        for chunk in chunks(etcd, id, first, end).await? {
            header = header.or(chunk.header);
            for record in chunk.tasks {
                tasks.push(codec::task(record).map_err(whole)?);
            }
        }
    }
    let header = header.filter(|header| header.segment == reference.segment);
    restore(header.ok_or_else(|| whole(Damage::Missing))?, tasks).map_err(whole)
}

/// Reads the chunks `[first, end)` of a snapshot.
pub(super) async fn chunks(etcd: &Etcd, id: &str, first: u32, end: u32) -> Result<Vec<SnapshotChunk>, SnapshotError> {
    let keys = etcd.keys();
    let (from, to) = (keys.snapshot_chunk(id, first), keys.snapshot_chunk(id, end));
    let mut found = etcd.range(from, to, (end - first).into()).await?.entries.into_iter();
    let chunk_at = |chunk: u32| {
        let decoded = match found.next() {
            Some(entry) => codec::decode_chunk(&Bytes::from(entry.into_key_value().1), chunk),
            None => Err(Damage::Missing),
        };
        decoded.map_err(|why| SnapshotError::Chunk {
            id: id.to_owned(),
            chunk,
            why,
        })
    };
    (first..end).map(chunk_at).collect()
}

fn restore(header: SnapshotHeader, tasks: Vec<Task>) -> Result<Replica, Damage> {
    let ledger = Ledger::restore(Header::try_from(&header)?, tasks)?;
    let hash = <[u8; 32]>::try_from(header.segment_hash.as_ref());
    let position = Position {
        segment: header.segment,
        hash: hash.map_err(|_| Damage::Truncated(header.segment_hash.len()))?,
        seq: ledger.seq(),
        time: ledger.now(),
        epoch: ledger.epoch(),
        ..Position::default()
    };
    Ok(Replica {
        ledger,
        position,
        ..Replica::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_due_when_replay_would_cost_more() {
        assert!(!needed(64, 0, 64));
        assert!(needed(65, 0, 64));
        assert!(!needed(100, 100, 64));
        assert!(needed(101, 100, 64));
    }

    #[test]
    fn ids_sort_by_epoch() {
        let random = Random::seeded(1);
        let (early, late) = (fresh_id(Epoch(9), &random), fresh_id(Epoch(10), &random));
        assert!(early < late);
        assert_ne!(fresh_id(Epoch(9), &random), early);
    }
}
