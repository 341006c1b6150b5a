//! The journal's writer as the committer uses it: the seam at which tests put a scripted one.

use std::ops::Range;

use lepton_journal::append::{AppendError, Draft, Writer};
use lepton_journal::manifest::SwapError;
use lepton_journal::trim::TrimError;
use lepton_proto::journal::v1::SnapshotRef;

use super::committer::JournalEnd;

/// Fenced writes to the journal; see [`Writer`] for what each promises.
pub(crate) trait JournalWriter: Send + 'static {
    /// Appends a segment.
    fn append(&mut self, draft: Draft) -> impl Future<Output = Result<(), AppendError>> + Send;
    /// Decides a write that is still pending; see [`Writer::settle`].
    fn settle(&mut self) -> impl Future<Output = Result<(), AppendError>> + Send;
    /// Proves the epoch by a write.
    fn confirm(&mut self) -> impl Future<Output = Result<(), AppendError>> + Send;
    /// Names a snapshot in the manifest.
    fn swap_manifest(&mut self, snapshot: SnapshotRef) -> impl Future<Output = Result<(), SwapError>> + Send;
    /// Drops unfinished snapshots of earlier leaders.
    fn sweep_snapshots(&mut self) -> impl Future<Output = Result<(), AppendError>> + Send;
    /// Drops segments.
    fn trim(&mut self, segments: Range<u64>) -> impl Future<Output = Result<(), TrimError>> + Send;
    /// End of the journal after the last write.
    fn end(&self) -> JournalEnd;
}

impl JournalWriter for Writer {
    async fn append(&mut self, draft: Draft) -> Result<(), AppendError> {
        Writer::append(self, draft).await.map(drop)
    }

    async fn settle(&mut self) -> Result<(), AppendError> {
        Writer::settle(self).await
    }

    async fn confirm(&mut self) -> Result<(), AppendError> {
        Writer::confirm(self).await
    }

    async fn swap_manifest(&mut self, snapshot: SnapshotRef) -> Result<(), SwapError> {
        Writer::swap_manifest(self, snapshot).await
    }

    async fn sweep_snapshots(&mut self) -> Result<(), AppendError> {
        Writer::sweep_snapshots(self).await.map(drop)
    }

    async fn trim(&mut self, segments: Range<u64>) -> Result<(), TrimError> {
        Writer::trim(self, segments).await
    }

    fn end(&self) -> JournalEnd {
        JournalEnd {
            position: self.position().clone(),
            mark: self.mark(),
            growth: self.growth(),
        }
    }
}
