//! The leader: one task that owns the speculative ledger and everything that depends on it.
//!
//! ```text
//! message -> Decider: decide, apply -> CommitPipeline --write--> etcd
//!                 |                        |                      |
//!                 +-- answers -> ReadGate  +-- effects            |
//!                                   |              |              |
//!                                   +-- releases --+ <------------+  answers, dispatches, watch events
//! ```
//!
//! Promises: decisions and their application happen together, in arrival order; whatever may be seen outside is
//! released only when the write that it depends on has succeeded. A leader that is fenced discards all of it.
//! Leaves state to its owners: [`Decider`] with [`CommitPipeline`] and `ReadGate`, [`Sessions`], [`ReadyQueue`] and
//! [`Maintenance`]; and the wire to `intake`, `api` and `session`.

use std::collections::VecDeque;
use std::time::Duration;

use lepton_core::shutdown::Shutdown;
use lepton_domain::ledger::Ledger;
use lepton_journal::append::{AppendError, Writer};
use tokio::sync::{mpsc, watch};

use self::clock::Now;
use self::commit_pipeline::{CommitPipeline, JournalWriter, WriteOutcome, WriteResult};
use self::decider::Decider;
use self::maintenance::{Maintenance, Stores};
use self::peer_mark::PeerMarks;
use self::ready_queue::ReadyQueue;
use self::sessions::Sessions;
use self::unplaceable::UnplaceableTasks;
use crate::error::LeadershipLost;
use crate::formats::SupportedFormats;
use crate::message::Message;
use crate::status::SchedulerStatus;
use crate::sweeper::Sweeper;

pub(crate) use self::clock::JournalClock;
pub(crate) use self::context::LeaderContext;

mod assign;
mod clock;
mod commit_pipeline;
mod context;
mod decider;
#[cfg(test)]
pub(crate) mod fixtures;
mod maintenance;
pub(crate) mod peer_mark;
mod pending_reason;
mod progress;
mod read_gate;
mod ready_queue;
mod release;
mod report_grace;
mod sessions;
mod spans;
mod unplaceable;
mod views;
mod watchers;

/// Messages taken at a time, before batches and workers have their turn.
const INBOX_BATCH: usize = 512;
/// The longest sleep: heartbeats and silence are checked at least this often.
const SLEEP_MAX: Duration = Duration::from_millis(250);
/// Time that a leader that resigns waits for its last append.
const SHUTDOWN_MAX: Duration = Duration::from_secs(3);

/// The leader's state, each part with its owner.
pub(crate) struct Leader {
    clock: JournalClock,
    decider: Decider,
    sessions: Sessions,
    ready: ReadyQueue,
    unplaceable: UnplaceableTasks,
    maintenance: Maintenance,
    sweeper: Sweeper,
    status: watch::Sender<SchedulerStatus>,
    formats: SupportedFormats,
    peer_marks: PeerMarks,
    /// Attempts whose end has committed and has not been published yet.
    finished: u64,
}

impl Leader {
    /// Begins on a ledger whose epoch has just been opened by the [`Writer`].
    pub fn new(incarnation: String, ledger: Ledger, writer: Writer, clock: JournalClock, ctx: LeaderContext) -> Self {
        let now = clock.now();
        let journal = writer.end();
        let mut ready = ReadyQueue::new(ctx.queue);
        ledger.waiting().for_each(|task| ready.enqueue(task, now));
        let stores = Stores {
            etcd: ctx.etcd,
            blobs: ctx.blobs,
            random: ctx.random,
            epoch: ledger.epoch(),
            incarnation,
        };
        Self {
            clock,
            sessions: Sessions::new(now, journal.mark.clone(), &ledger),
            ready,
            unplaceable: UnplaceableTasks::new(ctx.unplaceable_after, ctx.conditions, now),
            maintenance: Maintenance::new(stores, ctx.tuning.snapshot_bytes, journal),
            decider: Decider::new(ledger, ctx.policy, CommitPipeline::start(writer, &ctx.tuning)),
            sweeper: ctx.sweeper,
            status: ctx.status,
            formats: ctx.formats,
            peer_marks: ctx.peer_marks,
            finished: 0,
        }
    }

    /// Leads until the service stops. [`LeadershipLost`] means that another leads, or that etcd is not what it was.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Message>, shutdown: Shutdown) -> Result<(), LeadershipLost> {
        let mut received = Vec::with_capacity(INBOX_BATCH);
        let mut queued = VecDeque::with_capacity(INBOX_BATCH);
        loop {
            let now = self.clock.now();
            let sleep = self.sleep(now);
            tokio::select! {
                biased;
                () = shutdown.triggered() => return self.shutdown().await,
                result = self.decider.pipeline.result() => self.write_finished(result)?,
                result = self.maintenance.background_result() => self.maintenance.background_finished(result),
                count = inbox.recv_many(&mut received, INBOX_BATCH), if queued.is_empty() && self.decider.accepts(now) => {
                    if count == 0 {
                        return self.shutdown().await;
                    }
                    queued.extend(received.drain(..));
                }
                () = tokio::time::sleep(sleep) => {}
            }
            self.drain_inbox(&mut queued)?;
        }
    }

    /// Handles what has arrived, a batch at a time. A message that finds a full batch which cannot be sent yet stays.
    fn drain_inbox(&mut self, queued: &mut VecDeque<Message>) -> Result<(), LeadershipLost> {
        loop {
            let mut now = self.clock.now();
            while self.decider.accepts(now)
                && let Some(message) = queued.pop_front()
            {
                self.handle(message, now)?;
                now = self.clock.now();
            }
            self.advance(now)?;
            if queued.is_empty() || !self.decider.accepts(now) {
                return Ok(());
            }
        }
    }

    fn handle(&mut self, message: Message, now: Now) -> Result<(), LeadershipLost> {
        let decider = &mut self.decider;
        match message {
            Message::Call(call) => decider.call(call, now),
            Message::Session { number, event } => {
                let releases = self.sessions.handle(number, event, decider, &mut self.ready, now);
                decider.reads.wait_all(releases);
            }
            Message::PeerMark(peer) => self
                .peer_marks
                .compare(&peer, &self.status.borrow().mark, now.monotonic)?,
            Message::LeadershipSuspect => decider.reads.request_proof(),
        }
        Ok(())
    }

    /// Performs what follows every batch of messages: what is due, work for free slots, the next write.
    fn advance(&mut self, now: Now) -> Result<(), LeadershipLost> {
        self.decider.refuse_stalled(now);
        self.peer_marks.tick(now.monotonic);
        let releases = self.sessions.tick(&mut self.decider, &mut self.ready, now);
        self.decider.reads.wait_all(releases);
        self.decider.tick(self.formats.common(), now);
        assign::assign(&mut self.decider, &mut self.sessions, &mut self.ready, now);
        self.unplaceable.check(&self.ready, &self.sessions, now);
        self.decider.check()?;
        self.decider.start_write(&mut self.maintenance, now)
    }

    /// Time in which nothing can become due.
    fn sleep(&self, now: Now) -> Duration {
        // What is due already and cannot be done yet must not keep the leader awake: it waits for room in a batch, or for
        // a worker, and either wakes it.
        let tick = self.decider.next_timer().filter(|_| self.decider.may_decide(now));
        let timers = [tick, self.ready.next_due(now.journal)].into_iter().flatten();
        let due = timers.map(|at| at.since(now.journal)).min().unwrap_or(SLEEP_MAX);
        let paced = self.decider.pause(now).unwrap_or(SLEEP_MAX);
        due.max(Duration::from_millis(1)).min(paced).min(SLEEP_MAX)
    }

    /// Takes the result of the write in flight and performs what waited for it.
    fn write_finished(&mut self, result: Result<WriteResult, AppendError>) -> Result<(), LeadershipLost> {
        let WriteResult { outcome, journal } = result?;
        let Some(completed) = self.decider.complete() else {
            return Ok(());
        };
        if outcome == WriteOutcome::Appended {
            let (mark, epoch) = (journal.mark.clone(), self.decider.epoch());
            self.sessions.committed(mark.clone());
            self.status
                .send_modify(|status| status.committed(mark, epoch, &completed.digest));
        }
        self.maintenance.write_finished(outcome, journal);
        let now = self.clock.now();
        for release in completed.releases {
            self.perform(release, now);
        }
        let (queued, running) = (self.ready.len(), self.sessions.running());
        let finished = std::mem::take(&mut self.finished);
        // Stats are read now and then, so nobody is woken.
        self.status
            .send_if_modified(|status| status.record_load(queued, running, finished));
        Ok(())
    }

    /// Takes nothing more, lets the last write finish and answers what waited for it.
    async fn shutdown(mut self) -> Result<(), LeadershipLost> {
        self.maintenance.stop();
        self.decider.pipeline.stop_pacing();
        let deadline = self.clock.now().monotonic + SHUTDOWN_MAX;
        while self.decider.pipeline.is_writing() || self.decider.wants_write() {
            let now = self.clock.now();
            self.decider.start_write(&mut self.maintenance, now)?;
            let left = deadline.saturating_sub(now.monotonic);
            match tokio::time::timeout(left, self.decider.pipeline.result()).await {
                Ok(result) => self.write_finished(result)?,
                Err(_elapsed) => return Err(LeadershipLost::ShutdownTimeout),
            }
        }
        Ok(())
    }
}
