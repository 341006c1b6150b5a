//! Group commit: one append under way, the next batch gathering behind it.
//!
//! Promises: batches are written in order, one at a time; alone, a command is appended at once, and under load appends
//! start some milliseconds apart so that batches grow. When etcd does not answer, whoever waits is told so after a
//! while, though the append goes on and may yet commit. Leaves settling unknown outcomes to the journal's writer.

use std::ops::Range;
use std::time::Duration;

use lepton_domain::ledger::StateDigest;
use lepton_journal::Position;
use lepton_journal::append::{AppendError, Draft, Writer};
use lepton_journal::manifest::SwapError;
use lepton_journal::snapshot::Frozen;
use lepton_journal::trim::TrimError;
use lepton_proto::journal::v1::{Mark, SnapshotRef};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::batch::{Batch, Release};
use super::watchers::Watchers;
use super::{Leader, journal_unavailable};

/// A batch of more events than this means load: the next append keeps its distance.
const BUSY_EVENTS: usize = 32;
/// Tasks that are looked at again with each append.
const SCRUB_TASKS: usize = 16;
/// How long a write that etcd refuses is left alone.
const INSIST_EVERY: Duration = Duration::from_millis(500);

/// A piece of work for the writer.
pub(crate) enum Work {
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

impl Work {
    /// Whether somebody waits for it. The rest is upkeep, which may take its time.
    fn is_urgent(&self) -> bool {
        matches!(self, Work::Append(_) | Work::Confirm)
    }
}

/// What became of it.
pub(crate) enum Done {
    /// The events are in the journal.
    Appended,
    /// The epoch stands.
    Confirmed,
    /// The snapshot is named, or turned out not to fit the journal.
    Swapped,
    /// Leftovers were dropped, as far as possible.
    Swept,
    /// Some segments were dropped, or must stay for now.
    Trimmed { dropped: bool },
}

/// A finished piece of work and how far the journal is after it.
pub(crate) struct Settled {
    /// What became of it.
    pub done: Done,
    /// The last segment.
    pub position: Position,
    /// What the leader has proved.
    pub mark: Mark,
    /// Bytes since the newest snapshot, and of that snapshot.
    pub growth: (u64, u64),
}

/// The task that owns the journal's writer. It ends with its owner.
pub(crate) struct Committer {
    work: mpsc::Sender<Work>,
    done: mpsc::Receiver<Result<Settled, AppendError>>,
    _task: JoinSet<()>,
}

impl Committer {
    /// Starts it.
    pub fn start(writer: Writer) -> Self {
        let (work, orders) = mpsc::channel(1);
        let (reports, done) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(write(writer, orders, reports));
        Self {
            work,
            done,
            _task: task,
        }
    }

    /// The next result. Pending while nothing is under way.
    pub async fn done(&mut self) -> Result<Settled, AppendError> {
        self.done.recv().await.unwrap_or(Err(AppendError::Closed))
    }

    fn begin(&self, work: Work) {
        // One piece is under way at a time, so the one place in the channel is free; a closed one reports itself in `done`.
        let _closed = self.work.try_send(work);
    }
}

async fn write(
    mut writer: Writer,
    mut orders: mpsc::Receiver<Work>,
    reports: mpsc::Sender<Result<Settled, AppendError>>,
) {
    while let Some(work) = orders.recv().await {
        let settled = carry_out(&mut writer, work).await.map(|done| Settled {
            done,
            position: writer.position().clone(),
            mark: writer.mark(),
            growth: writer.growth(),
        });
        if reports.send(settled).await.is_err() {
            return;
        }
    }
}

async fn carry_out(writer: &mut Writer, work: Work) -> Result<Done, AppendError> {
    match work {
        Work::Append(draft) => {
            let appended = writer.append(draft).await.map(|_committed| ());
            insist(writer, appended).await.map(|()| Done::Appended)
        }
        Work::Confirm => confirm(writer).await.map(|()| Done::Confirmed),
        Work::Swap(snapshot) => {
            let swapped = match writer.swap_manifest(snapshot).await {
                Ok(()) => Ok(()),
                Err(SwapError::Append(error)) => Err(error),
                Err(misfit) => {
                    tracing::error!(error = %misfit, "the snapshot is not used");
                    Ok(())
                }
            };
            insist(writer, swapped).await.map(|()| Done::Swapped)
        }
        Work::Sweep => sweep(writer).await,
        Work::Trim(segments) => trim(writer, segments).await,
    }
}

/// A confirmation that etcd refuses is tried again until etcd takes it or the epoch ends.
async fn confirm(writer: &mut Writer) -> Result<(), AppendError> {
    loop {
        match writer.confirm().await {
            Err(AppendError::Etcd(error)) => {
                tracing::error!(%error, "etcd refuses the leader's proof; it is tried again")
            }
            decided => return decided,
        }
        tokio::time::sleep(INSIST_EVERY).await;
    }
}

/// Drops leftovers. Those that cannot be dropped now wait for the next leader.
async fn sweep(writer: &mut Writer) -> Result<Done, AppendError> {
    match writer.sweep_snapshots().await {
        Err(AppendError::Etcd(error)) => tracing::warn!(%error, "leftovers of unfinished snapshots stay for now"),
        swept => drop(swept?),
    }
    Ok(Done::Swept)
}

/// Drops some segments. What cannot be dropped now can wait for the next snapshot.
async fn trim(writer: &mut Writer, segments: Range<u64>) -> Result<Done, AppendError> {
    match writer.trim(segments).await {
        Ok(()) => Ok(Done::Trimmed { dropped: true }),
        Err(TrimError::Append(error)) if !matches!(error, AppendError::Etcd(_)) => Err(error),
        Err(error) => {
            tracing::warn!(%error, "old segments stay for now");
            Ok(Done::Trimmed { dropped: false })
        }
    }
}

/// A write that etcd refuses, as for lack of space, stays pending: it is tried again until etcd takes it or the epoch
/// ends. Meanwhile the leader refuses commands.
async fn insist(writer: &mut Writer, mut outcome: Result<(), AppendError>) -> Result<(), AppendError> {
    while let Err(AppendError::Etcd(error)) = outcome {
        tracing::error!(%error, "etcd refuses the journal's write; it is tried again");
        tokio::time::sleep(INSIST_EVERY).await;
        outcome = writer.settle().await;
    }
    outcome
}

/// The piece of work under way and what waits for it.
pub(crate) struct InFlight {
    started: Duration,
    urgent: bool,
    /// Digest of the ledger after the batch.
    digest: StateDigest,
    releases: Vec<Release>,
    told: bool,
}

/// When the last append started, and whether it was one of many.
#[derive(Default)]
pub(crate) struct Pace {
    started: Duration,
    busy: bool,
}

impl Leader {
    /// Starts the next piece of work if none is under way: a batch first, the upkeep of the journal in the gaps.
    pub(super) fn seal(&mut self) {
        if self.in_flight.is_some() || self.broken.is_some() {
            return;
        }
        let started = self.clock.monotonic();
        let upkeep = self.upkeep();
        let (work, releases) = match upkeep {
            Some(work) => (work, Vec::new()),
            None if self.seal_pause().is_some() => return,
            None => match self.batch.take() {
                Some(batch) => self.seal_batch(batch),
                None => return,
            },
        };
        let urgent = work.is_urgent();
        self.committer.begin(work);
        self.in_flight = Some(InFlight {
            started,
            urgent,
            digest: self.ledger.digest(),
            releases,
            told: false,
        });
    }

    /// The next piece of upkeep, where no batch is ready to go or it has waited for its turn long enough.
    fn upkeep(&mut self) -> Option<Work> {
        let idle = self.batch.is_none() || self.seal_pause().is_some();
        if self.stopping || !(idle || self.snapshots.has_waited()) {
            return None;
        }
        self.snapshots.upkeep()
    }

    fn seal_batch(&mut self, batch: Batch) -> (Work, Vec<Release>) {
        self.pace = Pace {
            started: self.clock.monotonic(),
            busy: batch.event_count() > BUSY_EVENTS,
        };
        let (draft, mut releases) = batch.seal();
        let Some(draft) = draft else {
            return (Work::Confirm, releases);
        };
        self.scrub();
        if self.snapshots.due() {
            self.snapshots.taken();
            releases.push(Release::Snapshot(Frozen::of(&self.ledger)));
        }
        (Work::Append(draft), releases)
    }

    /// Re-hashes some tasks. Damaged memory, or a defect: nothing more may be built on this ledger.
    fn scrub(&mut self) {
        match self.ledger.scrub(self.scrub_from, SCRUB_TASKS) {
            Ok(next) => self.scrub_from = next,
            Err(mismatch) => self.broken = Some(mismatch.to_string()),
        }
    }

    /// How long the gathering batch should still wait; none when it may go.
    pub(super) fn seal_pause(&self) -> Option<Duration> {
        let batch = self.batch.as_ref()?;
        if self.in_flight.is_some() || batch.is_full() || self.stopping {
            return None;
        }
        let left = (self.pace.started + self.world.tuning.append_spacing).saturating_sub(self.clock.monotonic());
        (self.pace.busy && !left.is_zero()).then_some(left)
    }

    /// Whether the append under way takes so long that new commands must be refused.
    pub(super) fn stalled(&self) -> bool {
        let limit = self.world.tuning.stall_after;
        self.in_flight
            .as_ref()
            .filter(|one| one.urgent)
            .is_some_and(|one| self.clock.monotonic().saturating_sub(one.started) >= limit)
    }

    /// Takes the result of the work under way and releases what waited for it.
    pub(super) fn settle(&mut self, settled: Result<Settled, AppendError>) -> Result<(), AppendError> {
        let settled = settled?;
        let Some(flight) = self.in_flight.take() else {
            return Ok(());
        };
        self.snapshots.settled(&settled);
        match settled.done {
            Done::Appended => {
                self.snapshots.appended();
                self.publish(settled.mark, &flight.digest);
            }
            Done::Confirmed => {}
            Done::Swapped => self.named(),
            Done::Swept => self.archive_old(),
            Done::Trimmed { dropped } => self.trimmed(dropped),
        }
        for release in flight.releases {
            self.perform(release);
        }
        self.publish_load();
        Ok(())
    }

    /// Tells those who wait for a stalled append, or for the batch behind it, that its outcome is unknown.
    pub(super) fn expire_waiting(&mut self) {
        if !self.stalled() {
            return;
        }
        if let Some(flight) = &mut self.in_flight
            && !flight.told
        {
            flight.told = true;
            give_up(&mut flight.releases, &mut self.watchers);
        }
        if let Some(batch) = &mut self.batch {
            give_up(&mut batch.releases, &mut self.watchers);
        }
    }
}

/// Answers every caller that waits, a refused one too: a refusal is as unproved as any answer. Effects stay, since the
/// append may yet commit.
fn give_up(releases: &mut Vec<Release>, watchers: &mut Watchers) {
    for release in std::mem::take(releases) {
        match release {
            Release::Answer { answer, .. } => answer(Err(journal_unavailable())),
            // The caller may have left; nobody else waits for it.
            Release::Listing { answer, .. } => drop(answer.send(Err(journal_unavailable()))),
            Release::Refusal { answer, .. } => drop(answer.send(Err(journal_unavailable()))),
            Release::Watching { answer, task, number } => {
                watchers.abandon(task.id, number);
                drop(answer.send(Err(journal_unavailable())));
            }
            other => releases.push(other),
        }
    }
}
