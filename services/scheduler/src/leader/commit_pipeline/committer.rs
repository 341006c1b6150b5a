//! The task that owns the journal's writer.
//!
//! Promises: requests are carried out one at a time and each gets one result; a write that etcd refuses is repeated
//! until etcd takes it or the epoch ends. Leaves unknown outcomes to the writer, which settles them itself.

use std::ops::Range;
use std::time::Duration;

use lepton_core::backoff::Backoff;
use lepton_journal::Position;
use lepton_journal::append::{AppendError, Draft};
use lepton_journal::manifest::SwapError;
use lepton_journal::trim::TrimError;
use lepton_proto::journal::v1::{Mark, SnapshotRef};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::writer::JournalWriter;

#[cfg(test)]
mod tests;

/// First pause before a refused write is repeated.
const REFUSED_RETRY_MIN: Duration = Duration::from_millis(125);
/// Longest such pause.
const REFUSED_RETRY_MAX: Duration = Duration::from_millis(500);

/// A write to the journal, for a [`JournalWriter`].
#[derive(Debug)]
pub(crate) enum WriteRequest {
    /// Append these events.
    Append(Draft),
    /// Prove the epoch without an event.
    Confirm,
    /// Name a new snapshot.
    Swap(SnapshotRef),
    /// Drop what unfinished snapshots of earlier leaders left.
    Sweep,
    /// Drop these segments, which are in the archive.
    Trim(Range<u64>),
}

impl WriteRequest {
    /// Returns true for writes that callers wait for; the rest is maintenance, which may take its time.
    pub fn is_urgent(&self) -> bool {
        matches!(self, WriteRequest::Append(_) | WriteRequest::Confirm)
    }
}

/// End of a [`WriteRequest`] that was not fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteOutcome {
    /// The events are in the journal.
    Appended,
    /// The epoch stands.
    Confirmed,
    /// The snapshot is named, or turned out not to fit the journal.
    Swapped,
    /// Leftovers were dropped, as far as possible.
    Swept,
    /// Some segments were dropped, or must stay for now.
    Trimmed {
        /// True when there may be more to drop.
        dropped: bool,
    },
}

/// End of the journal as its writer knows it.
#[derive(Debug, Clone)]
pub(crate) struct JournalEnd {
    /// The last segment.
    pub position: Position,
    /// Mark of that segment, for peers.
    pub mark: Mark,
    /// Bytes since the newest snapshot, and of that snapshot.
    pub growth: (u64, u64),
}

/// Result of a [`WriteRequest`], and the journal after it.
#[derive(Debug)]
pub(crate) struct WriteResult {
    /// End of the write.
    pub outcome: WriteOutcome,
    /// The journal after it.
    pub journal: JournalEnd,
}

/// Handle to the writer's task, which ends with it.
pub(crate) struct Committer {
    requests: mpsc::Sender<WriteRequest>,
    results: mpsc::Receiver<Result<WriteResult, AppendError>>,
    _task: JoinSet<()>,
}

impl Committer {
    /// Spawns the task.
    pub fn start(writer: impl JournalWriter) -> Self {
        let (requests, queued) = mpsc::channel(1);
        let (finished, results) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(run(writer, queued, finished));
        Self {
            requests,
            results,
            _task: task,
        }
    }

    /// A committer without a task: what it is sent waits in the returned channel.
    #[cfg(test)]
    pub fn detached() -> (Self, mpsc::Receiver<WriteRequest>) {
        let (requests, queued) = mpsc::channel(1);
        let (_finished, results) = mpsc::channel(1);
        let committer = Self {
            requests,
            results,
            _task: JoinSet::new(),
        };
        (committer, queued)
    }

    /// Waits for the next result; pending while nothing is in flight.
    pub async fn result(&mut self) -> Result<WriteResult, AppendError> {
        self.results.recv().await.unwrap_or(Err(AppendError::Closed))
    }

    /// Starts a write. One is in flight at a time, so the one slot of the channel is free; a closed channel shows in
    /// [`Committer::result`].
    pub fn send(&self, request: WriteRequest) {
        let _closed = self.requests.try_send(request);
    }
}

async fn run(
    mut writer: impl JournalWriter,
    mut requests: mpsc::Receiver<WriteRequest>,
    results: mpsc::Sender<Result<WriteResult, AppendError>>,
) {
    while let Some(request) = requests.recv().await {
        let result = write(&mut writer, request).await.map(|outcome| WriteResult {
            outcome,
            journal: writer.end(),
        });
        if results.send(result).await.is_err() {
            return;
        }
    }
}

/// Carries out one [`WriteRequest`].
async fn write(writer: &mut impl JournalWriter, request: WriteRequest) -> Result<WriteOutcome, AppendError> {
    match request {
        WriteRequest::Append(draft) => {
            let appended = writer.append(draft).await;
            retry_until_decided(writer, appended).await?;
            Ok(WriteOutcome::Appended)
        }
        WriteRequest::Confirm => confirm(writer).await,
        WriteRequest::Swap(snapshot) => swap(writer, snapshot).await,
        WriteRequest::Sweep => sweep(writer).await,
        WriteRequest::Trim(segments) => trim(writer, segments).await,
    }
}

/// Repeats a confirmation that etcd refuses until etcd takes it or the epoch ends.
async fn confirm(writer: &mut impl JournalWriter) -> Result<WriteOutcome, AppendError> {
    let mut backoff = refused_backoff();
    loop {
        match writer.confirm().await {
            Err(AppendError::Etcd(error)) => {
                tracing::error!(%error, "etcd refuses the leader's proof; it is tried again");
            }
            decided => return decided.map(|()| WriteOutcome::Confirmed),
        }
        tokio::time::sleep(backoff.delay()).await;
    }
}

/// Names a snapshot. One that does not fit the journal is left to the sweep of a later leader.
async fn swap(writer: &mut impl JournalWriter, snapshot: SnapshotRef) -> Result<WriteOutcome, AppendError> {
    let swapped = match writer.swap_manifest(snapshot).await {
        Ok(()) => Ok(()),
        Err(SwapError::Append(error)) => Err(error),
        Err(misfit) => {
            tracing::error!(error = %misfit, "the snapshot is not used");
            Ok(())
        }
    };
    retry_until_decided(writer, swapped).await?;
    Ok(WriteOutcome::Swapped)
}

/// Drops leftovers. Those that cannot be dropped now wait for the next leader.
async fn sweep(writer: &mut impl JournalWriter) -> Result<WriteOutcome, AppendError> {
    match writer.sweep_snapshots().await {
        Err(AppendError::Etcd(error)) => tracing::warn!(%error, "leftovers of unfinished snapshots stay for now"),
        swept => swept?,
    }
    Ok(WriteOutcome::Swept)
}

/// Drops some segments.
async fn trim(writer: &mut impl JournalWriter, segments: Range<u64>) -> Result<WriteOutcome, AppendError> {
    trimmed(writer.trim(segments).await)
}

/// Turns a [`TrimError`] of the moment into an outcome: segments that cannot be dropped now wait for the next snapshot.
fn trimmed(result: Result<(), TrimError>) -> Result<WriteOutcome, AppendError> {
    match result {
        Ok(()) => Ok(WriteOutcome::Trimmed { dropped: true }),
        Err(TrimError::Append(error)) if !matches!(error, AppendError::Etcd(_)) => Err(error),
        Err(error) => {
            tracing::warn!(%error, "old segments stay for now");
            Ok(WriteOutcome::Trimmed { dropped: false })
        }
    }
}

/// Settles a write that etcd refuses, as for lack of space, again and again until etcd takes it or the epoch ends.
/// Meanwhile the leader refuses commands.
async fn retry_until_decided(
    writer: &mut impl JournalWriter,
    mut written: Result<(), AppendError>,
) -> Result<(), AppendError> {
    let mut backoff = refused_backoff();
    while let Err(AppendError::Etcd(error)) = written {
        tracing::error!(%error, "etcd refuses the journal's write; it is tried again");
        tokio::time::sleep(backoff.delay()).await;
        written = writer.settle().await;
    }
    written
}

fn refused_backoff() -> Backoff {
    Backoff::new(REFUSED_RETRY_MIN, REFUSED_RETRY_MAX)
}
