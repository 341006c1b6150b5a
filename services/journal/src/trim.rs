//! Trimming: segments that both snapshots cover leave etcd.
//!
//! Promises: only at or below the floor and never the last segment, in small steps, fenced; a segment is in the
//! archive before it leaves etcd, and archiving needs no writer, so that a slow archive holds no append up. A late
//! copy of a trim deletes nothing that the first could not. Leaves when to trim, and etcd's own compaction, to others.

use std::ops::Range;

use etcd_client::{DeleteOptions, TxnOp};
use lepton_domain::reason::ApiError;

use super::append::{AppendError, Pending, Writer};
use super::fence::{Conflict, found};
use super::{Position, read};
use lepton_coordination::etcd::{Etcd, EtcdError};
use lepton_core::blob::Blobs;

/// Segments deleted at once; thousands in one request halve etcd's speed.
const STEP_SEGMENTS_MAX: u32 = 32;

/// Why nothing was trimmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrimError {
    /// The writer cannot write. After an unknown outcome, trying again is safe.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The archive did not take a segment.
    #[error("the archive did not take segment {segment}: {error}")]
    Archive {
        /// The segment.
        segment: u64,
        /// Why.
        error: ApiError,
    },
}

impl From<EtcdError> for TrimError {
    fn from(error: EtcdError) -> Self {
        Self::Append(error.into())
    }
}

/// Location of a segment in the archive.
pub fn archive_name(incarnation: &str, segment: u64) -> String {
    format!("journal/{incarnation}/{segment:020}")
}

/// The oldest segments that may go after `position`, a bounded number at most. None when all must stay.
pub async fn due(etcd: &Etcd, position: &Position) -> Result<Option<Range<u64>>, EtcdError> {
    let end = end(position);
    let first = read::first_segment(etcd, 0).await?.filter(|first| *first < end);
    Ok(first.map(|first| first..end.min(first + u64::from(STEP_SEGMENTS_MAX))))
}

/// The first segment that must stay.
fn end(position: &Position) -> u64 {
    position.floor.min(position.segment.saturating_sub(1)) + 1
}

/// Puts these segments into the archive. Repeating it is safe.
pub async fn archive(etcd: &Etcd, archive: &Blobs, incarnation: &str, segments: &Range<u64>) -> Result<(), TrimError> {
    let mut next = segments.start;
    while next < segments.end {
        let range = read::range(etcd, next).await?;
        next += read::RANGE_SEGMENTS;
        for stored in range.into_iter().filter(|stored| stored.number < segments.end) {
            let (name, segment) = (archive_name(incarnation, stored.number), stored.number);
            let kept = archive.put_named(&name, stored.bytes).await;
            kept.map_err(|error| TrimError::Archive { segment, error })?;
        }
    }
    Ok(())
}

impl Writer {
    /// Deletes segments that have been archived, or that nobody wants there. An append may be pending meanwhile, so
    /// that trimming can free the space that the append lacks. What must stay by now stays.
    pub async fn trim(&mut self, segments: Range<u64>) -> Result<(), TrimError> {
        if !matches!(self.pending, None | Some(Pending::Append(_))) {
            return Err(AppendError::Unsettled.into());
        }
        self.check_open()?;
        let stop = segments.end.min(end(&self.position));
        if segments.start >= stop {
            return Ok(());
        }
        self.delete_segments(segments.start, stop).await
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
            false => AppendError::Fenced {
                definitely_not_committed: false,
            },
        }
        .into())
    }
}
