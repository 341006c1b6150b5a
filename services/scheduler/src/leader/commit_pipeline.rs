//! Group commit: one write in flight, the next batch open behind it.
//!
//! ```text
//! record -> batch --send--> in flight --complete--> effects of its events
//! ```
//!
//! Promises: batches are written in order, one at a time; a command that comes alone is appended at once, and under
//! load appends start some milliseconds apart so that batches grow; the effects of an event come out only once it has
//! committed, and never when its write was fenced. Leaves callers to the [`ReadGate`](super::read_gate::ReadGate): when
//! etcd does not answer they are refused after a while, though the append goes on and may yet commit.

use std::time::Duration;

use lepton_domain::ids::Epoch;
use lepton_domain::ledger::{Event, Ledger, StateDigest};
use lepton_domain::time::Timestamp;
use lepton_journal::append::AppendError;
use lepton_journal::snapshot::Frozen;

use self::batch::Batch;
use self::committer::Committer;
use self::pace::Pace;
use super::release::Release;
use crate::config::Tuning;

pub(crate) use self::committer::{JournalEnd, WriteOutcome, WriteRequest, WriteResult};
pub(crate) use self::writer::JournalWriter;

mod batch;
mod committer;
mod pace;
#[cfg(test)]
mod tests;
mod writer;

/// The write in flight.
struct InFlight {
    started: Duration,
    urgent: bool,
    /// Digest of the ledger after its events.
    digest: StateDigest,
    releases: Vec<Release>,
}

/// A finished write.
pub(crate) struct Completed {
    /// Digest of the ledger after its events.
    pub digest: StateDigest,
    /// Effects of its events, in their order.
    pub releases: Vec<Release>,
}

/// The open batch, the write in flight and the pace of writes.
pub(crate) struct CommitPipeline {
    committer: Committer,
    batch: Option<Batch>,
    in_flight: Option<InFlight>,
    pace: Pace,
    stall_after: Duration,
}

impl CommitPipeline {
    /// A pipeline in front of this writer, with nothing in it.
    pub fn start(writer: impl JournalWriter, tuning: &Tuning) -> Self {
        Self::over(Committer::start(writer), tuning)
    }

    fn over(committer: Committer, tuning: &Tuning) -> Self {
        Self {
            committer,
            batch: None,
            in_flight: None,
            pace: Pace::new(tuning.append_spacing),
            stall_after: tuning.stall_after,
        }
    }

    /// A pipeline without a writer: its writes wait in the returned channel.
    #[cfg(test)]
    pub fn detached(tuning: &Tuning) -> (Self, tokio::sync::mpsc::Receiver<WriteRequest>) {
        let (committer, requests) = Committer::detached();
        (Self::over(committer, tuning), requests)
    }

    /// Journal time of the open batch.
    pub fn batch_time(&self) -> Option<Timestamp> {
        self.batch.as_ref().map(|batch| batch.time)
    }

    /// Opens a batch on the ledger's present state, where none is open. Call it before its first event is applied.
    pub fn open_batch(&mut self, ledger: &mut Ledger, epoch: Epoch, time: Timestamp) {
        if self.batch.is_none() {
            ledger.begin(epoch, time);
            self.batch = Some(Batch::open(ledger, time));
        }
    }

    /// Adds an applied event, with its effects, to the open batch.
    pub fn record(&mut self, event: Event, releases: impl IntoIterator<Item = Release>) {
        if let Some(batch) = &mut self.batch {
            batch.add(event, releases);
        }
    }

    /// Returns true while events are open for the next append.
    pub fn has_batch(&self) -> bool {
        self.batch.is_some()
    }

    /// Returns true while the open batch takes more events.
    pub fn has_room(&self) -> bool {
        !self.batch.as_ref().is_some_and(Batch::is_full)
    }

    /// Returns true while a write is in flight.
    pub fn is_writing(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Returns true when the write in flight takes so long that new commands must be refused.
    pub fn is_stalled(&self, now: Duration) -> bool {
        let urgent = self.in_flight.as_ref().filter(|write| write.urgent);
        urgent.is_some_and(|write| now.saturating_sub(write.started) >= self.stall_after)
    }

    /// Time that the next write should still wait for the pace; `None` when it may go.
    pub fn pause(&self, now: Duration) -> Option<Duration> {
        if self.is_writing() || !self.has_room() {
            return None;
        }
        self.pace.remaining(now)
    }

    /// Drops the distance between writes, by [`Pace::stop`]: what is left goes out as fast as etcd takes it.
    pub fn stop_pacing(&mut self) {
        self.pace.stop();
    }

    /// Writes the open batch, or sends [`WriteRequest::Confirm`] where there is none. A copy of the ledger is released
    /// once the batch has committed. `digest` is that of the ledger now.
    pub fn send(&mut self, now: Duration, digest: StateDigest, snapshot: Option<Frozen>) {
        let Some(batch) = self.batch.take() else {
            self.pace.sent(now, 0);
            return self.begin(WriteRequest::Confirm, now, digest, Vec::new());
        };
        self.pace.sent(now, batch.event_count());
        let (draft, mut releases) = batch.seal();
        releases.extend(snapshot.map(Release::Snapshot));
        self.begin(WriteRequest::Append(draft), now, digest, releases);
    }

    /// Starts a write of the journal's maintenance, for which nobody waits.
    pub fn send_maintenance(&mut self, request: WriteRequest, now: Duration, digest: StateDigest) {
        self.begin(request, now, digest, Vec::new());
    }

    fn begin(&mut self, request: WriteRequest, started: Duration, digest: StateDigest, releases: Vec<Release>) {
        self.in_flight = Some(InFlight {
            started,
            urgent: request.is_urgent(),
            digest,
            releases,
        });
        self.committer.send(request);
    }

    /// Waits for the end of the write in flight; pending while there is none.
    pub async fn result(&mut self) -> Result<WriteResult, AppendError> {
        self.committer.result().await
    }

    /// Ends the write in flight, which has succeeded, and returns what waited for it.
    pub fn complete(&mut self) -> Option<Completed> {
        self.in_flight.take().map(|write| Completed {
            digest: write.digest,
            releases: write.releases,
        })
    }
}
