//! The leader: one task that owns the speculative ledger and everything that hangs on it.
//!
//! ```text
//! message -> decide -> apply (speculative) -> batch --append--> etcd
//!                                               |                 |
//!                                               +-- releases <----+  answers, dispatches, watch events
//! ```
//!
//! Promises: decisions and their application happen together, in arrival order; whatever may be seen outside is
//! released only when the segment that it depends on has committed. A leader that is fenced discards all of it.
//! Leaves the wire to `intake`, `query` and `session::stream`, and etcd to the committer.

use std::collections::VecDeque;
use std::time::Duration;

use lepton_coordination::etcd::Etcd;
use lepton_core::blob::Blobs;
use lepton_core::clock::Clock;
use lepton_core::random::Random;
use lepton_core::shutdown::Shutdown;
use lepton_domain::ids::{Epoch, TaskId};
use lepton_domain::ledger::{Command, Effect, Event, Ledger, Policy, Rejection, apply, decide};
use lepton_domain::queue::Queue;
use lepton_domain::reason::{Fault, Reason};
use lepton_domain::time::Timestamp;
use lepton_journal::append::Writer;
use tokio::sync::{mpsc, watch};

use batch::Batch;
use commit::{Committer, InFlight, Pace};
use headway::Headway;
use holds::Holds;
use message::Message;
use roster::Roster;
use snapshot::Snapshots;
use spans::Waits;
use watchers::Watchers;

use crate::config::Tuning;
use crate::known::Known;
use crate::progress::Progress;
use crate::sweeper::Sweeper;

mod assign;
mod batch;
mod commit;
mod effects;
pub(crate) mod headway;
mod holds;
mod intake;
pub(crate) mod message;
mod roster;
mod snapshot;
mod spans;
mod watchers;

/// How many messages are taken at a time before batches and workers are looked after.
const INBOX_TURN: usize = 512;
/// The longest the leader sleeps: heartbeats and silence are checked at least this often.
const TURN_MAX: Duration = Duration::from_millis(250);
/// How long a leader that resigns waits for its last append.
const FAREWELL_MAX: Duration = Duration::from_secs(3);

/// Why a leader leads no more.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The service stops; everything that was accepted has been answered.
    Shutdown,
    /// Another leads, or etcd is not what it was.
    Deposed(String),
}

/// Journal time: the time of the takeover, advanced by the monotonic clock.
#[derive(Debug, Clone)]
pub(crate) struct JournalClock {
    clock: Clock,
    base: Timestamp,
    started: Duration,
}

impl JournalClock {
    /// Starts at the journal time of the takeover.
    pub fn start(clock: Clock, base: Timestamp) -> Self {
        let started = clock.monotonic();
        Self { clock, base, started }
    }

    fn now(&self) -> Timestamp {
        self.base.plus(self.monotonic().saturating_sub(self.started))
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

/// What a leader is made of besides its ledger.
pub(crate) struct Surroundings {
    /// Limits and intervals.
    pub tuning: Tuning,
    /// Rules of the ledger.
    pub policy: Policy,
    /// Where snapshots go.
    pub etcd: Etcd,
    /// Where trimmed segments go.
    pub blobs: Blobs,
    /// Deletes what purged tasks leave behind.
    pub sweeper: Sweeper,
    /// Names snapshots.
    pub random: Random,
    /// Where the position is published.
    pub progress: watch::Sender<Progress>,
    /// The furthest mark that anybody has shown.
    pub known: Known,
}

/// The leader's state.
pub(crate) struct Leader {
    epoch: Epoch,
    incarnation: String,
    ledger: Ledger,
    clock: JournalClock,
    world: Surroundings,
    batch: Option<Batch>,
    in_flight: Option<InFlight>,
    pace: Pace,
    committer: Committer,
    queue: Queue,
    roster: Roster,
    watchers: Watchers,
    headway: Headway,
    holds: Holds,
    waits: Waits,
    snapshots: Snapshots,
    /// Attempts whose end has committed and has not been published yet.
    finished: u64,
    /// Where the next look at tasks that have not changed begins.
    scrub_from: TaskId,
    stopping: bool,
    /// Why the ledger must be thrown away, once it must.
    broken: Option<String>,
}

impl Leader {
    /// Begins on a ledger whose epoch has just been opened by `writer`.
    pub fn new(incarnation: String, ledger: Ledger, writer: Writer, clock: JournalClock, world: Surroundings) -> Self {
        let pending: Vec<_> = ledger.pending().cloned().collect();
        let roster = Roster::new(clock.monotonic(), ledger.running().next().is_some());
        let snapshots = Snapshots::new(world.tuning.snapshot_bytes, writer.growth(), writer.position().clone());
        let mut leader = Self {
            epoch: ledger.epoch(),
            incarnation,
            committer: Committer::start(writer),
            ledger,
            clock,
            batch: None,
            in_flight: None,
            pace: Pace::default(),
            queue: Queue::new(),
            roster,
            watchers: Watchers::default(),
            headway: Headway::default(),
            holds: Holds::default(),
            waits: Waits::default(),
            snapshots,
            world,
            finished: 0,
            scrub_from: TaskId::MIN,
            stopping: false,
            broken: None,
        };
        pending.iter().for_each(|task| leader.enqueue(task));
        leader
    }

    /// Leads until another does or the service stops.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Message>, shutdown: Shutdown) -> Ended {
        let mut arrived = Vec::with_capacity(INBOX_TURN);
        let mut turn = VecDeque::with_capacity(INBOX_TURN);
        loop {
            let pause = self.pause();
            tokio::select! {
                biased;
                () = shutdown.triggered() => return self.farewell().await,
                done = self.committer.done() => {
                    if let Err(error) = self.settle(done) {
                        return Ended::Deposed(error.to_string());
                    }
                }
                done = self.snapshots.done() => self.go_on(done),
                count = inbox.recv_many(&mut arrived, INBOX_TURN), if turn.is_empty() && self.takes() => {
                    if count == 0 {
                        return self.farewell().await;
                    }
                    turn.extend(arrived.drain(..));
                }
                () = tokio::time::sleep(pause) => {}
            }
            if let Err(why) = self.work_off(&mut turn) {
                return Ended::Deposed(why);
            }
        }
    }

    /// Handles what has arrived, a batch at a time; what finds a full batch that cannot be sealed yet stays.
    fn work_off(&mut self, turn: &mut VecDeque<Message>) -> Result<(), String> {
        loop {
            while self.takes()
                && let Some(message) = turn.pop_front()
            {
                self.handle(message)?;
            }
            self.advance();
            if let Some(why) = self.broken.take() {
                return Err(why);
            }
            if turn.is_empty() || !self.takes() {
                return Ok(());
            }
        }
    }

    /// What follows every turn: time, work for free slots, the next append.
    fn advance(&mut self) {
        self.expire_waiting();
        self.watch_workers();
        self.tick();
        self.assign();
        self.seal();
    }

    /// Whether messages are taken: not while a full batch waits, unless they must be refused anyway.
    fn takes(&self) -> bool {
        self.stalled() || !self.batch.as_ref().is_some_and(Batch::is_full)
    }

    /// How long nothing can become due.
    fn pause(&self) -> Duration {
        let now = self.clock.now();
        // What is due already and cannot be done yet must not keep the leader awake: it waits for room in a batch, or for
        // a worker, and either wakes it.
        let ticks = if self.may_tick() {
            self.ledger.next_timer(&self.world.policy)
        } else {
            None
        };
        let timers = [ticks, self.queue.next_due().filter(|due| *due > now)];
        let due = timers
            .into_iter()
            .flatten()
            .map(|at| at.since(now))
            .min()
            .unwrap_or(TURN_MAX);
        let paced = self.seal_pause().unwrap_or(TURN_MAX);
        due.max(Duration::from_millis(1)).min(paced).min(TURN_MAX)
    }

    /// The gathering batch, opened on the present state where there is none.
    fn gather(&mut self) -> &mut Batch {
        let Self {
            batch,
            ledger,
            clock,
            epoch,
            ..
        } = self;
        batch.get_or_insert_with(|| {
            let time = clock.now().max(ledger.now());
            ledger.begin(*epoch, time);
            Batch::open(time, ledger.seq().next(), ledger.digest())
        })
    }

    /// Decides and applies a command; what follows from it waits in the batch.
    fn carry_out(&mut self, command: Command) -> Result<(), Rejection> {
        let now = self.gather().time;
        let events = decide(&self.ledger, &self.world.policy, command, now)?;
        for event in events {
            self.record(event);
        }
        Ok(())
    }

    fn record(&mut self, event: Event) {
        let effects = match apply(&mut self.ledger, &event) {
            Ok(effects) => effects,
            // The ledger has just decided this event itself: decide and apply disagree, so nothing more may be written.
            Err(illegal) => {
                self.broken = Some(format!("the ledger refused its own decision: {illegal}"));
                return;
            }
        };
        let mut releases = Vec::new();
        for effect in effects {
            if let Effect::Changed(id) = &effect {
                let task = self.ledger.task(id).map(AsRef::as_ref);
                self.headway.changed(id, task);
            }
            releases.extend(self.release_of(effect));
        }
        let batch = self.gather();
        batch.add(event);
        batch.releases.extend(releases);
    }

    fn may_tick(&self) -> bool {
        !self.stalled() && !self.batch.as_ref().is_some_and(Batch::is_full)
    }

    fn tick(&mut self) {
        if !self.may_tick() {
            return;
        }
        let now = self.clock.now();
        if self.ledger.next_timer(&self.world.policy).is_some_and(|due| due <= now) {
            // A tick is never refused: with nothing due it decides nothing.
            let _nothing_due = self.carry_out(Command::Tick);
        }
    }

    /// Takes nothing more, lets the last append finish and answers what waited for it.
    async fn farewell(mut self) -> Ended {
        self.stopping = true;
        let deadline = self.clock.monotonic() + FAREWELL_MAX;
        while self.in_flight.is_some() || self.batch.is_some() {
            self.seal();
            let left = deadline.saturating_sub(self.clock.monotonic());
            match tokio::time::timeout(left, self.committer.done()).await {
                Ok(done) => {
                    if let Err(error) = self.settle(done) {
                        return Ended::Deposed(error.to_string());
                    }
                }
                Err(_elapsed) => return Ended::Deposed("the last append did not settle in time".to_owned()),
            }
        }
        Ended::Shutdown
    }
}

/// What callers hear while no append can finish.
pub(crate) fn journal_unavailable() -> Fault {
    Fault::new(
        Reason::JournalUnavailable,
        "the journal cannot be written at the moment: etcd does not answer; try again",
    )
    .retry_after(Duration::from_secs(1))
}
