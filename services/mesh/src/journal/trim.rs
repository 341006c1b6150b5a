//! Trimming: segments that both snapshots cover leave etcd.
//!
//! Promises: only at or below the floor and never the last segment, in small steps, fenced; a segment is in the archive
//! before it leaves etcd. A late copy of a trim deletes nothing that the first could not. Leaves when to trim, and
//! etcd's own compaction, to others.

use bytes::Bytes;
use etcd_client::{DeleteOptions, TxnOp};
use lepton_domain::reason::Fault;

use super::append::{AppendError, Pending, Writer};
use super::fence::{Conflict, found};
use super::read;
use crate::blob::Blobs;
use crate::etcd::EtcdError;

/// Segments deleted at once; thousands in one request halve etcd's speed.
pub const STEP_SEGMENTS_MAX: u32 = 32;

/// Why nothing was trimmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrimError {
    /// The writer cannot write. After an unknown outcome, trying again is safe.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The archive did not take a segment.
    #[error("the archive did not take segment {segment}: {fault}")]
    Archive {
        /// The segment.
        segment: u64,
        /// Why.
        fault: Fault,
    },
}

impl From<EtcdError> for TrimError {
    fn from(error: EtcdError) -> Self {
        Self::Append(error.into())
    }
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trimmed {
    /// Segments deleted.
    pub segments: u32,
    /// Whether more can be deleted at once.
    pub more: bool,
}

/// Where a segment lies in the archive.
pub fn archive_name(incarnation: &str, segment: u64) -> String {
    format!("journal/{incarnation}/{segment:020}")
}

impl Writer {
    /// Deletes the oldest segments that may go, `max` and [`STEP_SEGMENTS_MAX`] at most. An append may be pending
    /// meanwhile, so that trimming can free the space that the append lacks.
    pub async fn trim(&mut self, archive: Option<&Blobs>, max: u32) -> Result<Trimmed, TrimError> {
        if !matches!(self.pending, None | Some(Pending::Append(_))) {
            return Err(AppendError::Unsettled.into());
        }
        self.check_open()?;
        let end = self.position.floor.min(self.position.segment.saturating_sub(1)) + 1;
        let Some(first) = read::first_segment(&self.fence.etcd, 0)
            .await?
            .filter(|first| *first < end)
        else {
            return Ok(Trimmed::default());
        };
        let stop = end.min(first + u64::from(max.min(STEP_SEGMENTS_MAX)));
        if let Some(archive) = archive {
            self.archive(archive, first, stop).await?;
        }
        self.delete_segments(first, stop).await?;
        let segments = u32::try_from(stop - first).unwrap_or(u32::MAX);
        Ok(Trimmed {
            segments,
            more: stop < end,
        })
    }

    async fn archive(&self, archive: &Blobs, mut next: u64, stop: u64) -> Result<(), TrimError> {
        while next < stop {
            let range = read::range(&self.fence.etcd, next).await?;
            next += read::RANGE_SEGMENTS;
            for stored in range.into_iter().filter(|stored| stored.number < stop) {
                self.archive_one(archive, stored.number, stored.bytes).await?;
            }
        }
        Ok(())
    }

    async fn archive_one(&self, archive: &Blobs, segment: u64, bytes: Bytes) -> Result<(), TrimError> {
        let name = archive_name(self.incarnation(), segment);
        archive
            .put_named(&name, bytes)
            .await
            .map_err(|fault| TrimError::Archive { segment, fault })
    }

    async fn delete_segments(&self, first: u64, stop: u64) -> Result<(), TrimError> {
        let (fence, keys) = (&self.fence, self.fence.etcd.keys());
        let options = DeleteOptions::new().with_range(keys.segment(stop));
        let delete = vec![TxnOp::delete(keys.segment(first), Some(options))];
        let compares = vec![fence.leads(), fence.manifest_is(self.position.manifest_revision)];
        let answer = fence.etcd.txn(compares, delete, vec![fence.read_leader()]).await?;
        if answer.succeeded() {
            return Ok(());
        }
        // Whatever else is pending finds out by itself.
        let [leader] = found(&answer);
        Err(match fence.is_held(leader.as_ref()) {
            true => AppendError::Conflict(Conflict::ManifestMoved),
            false => AppendError::Fenced { never: false },
        }
        .into())
    }
}
