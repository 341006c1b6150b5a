//! The workers that have a session, and the attempts that each of them runs.
//!
//! Promises: an attempt is in at most one session; a worker that falls silent, or whose stream ends, loses its attempts
//! unless it is back within the [grace](losses), and one that comes back without an attempt loses that one; each loss
//! goes to the ledger. Leaves the stream to `session` and choosing workers to `assign`.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use lepton_domain::ids::{AttemptId, InstanceId};
use lepton_domain::ledger::{Command, Effect, Ledger};
use lepton_domain::session::{SILENCE_MAX, Session, TAKEOVER_WAIT, overdue};
use lepton_domain::task::Payload;
use lepton_proto::journal::v1::Mark;
use lepton_proto::task::v1::Progress;
use tokio::sync::mpsc;

use self::declaration::Declaration;
use self::losses::Losses;
use super::clock::Now;
use super::decider::Decider;
use super::ready_queue::ReadyQueue;
use super::release::{Release, SettledReport};
use crate::message::{AttemptOutcome, SessionEvent, SessionHello, SessionNumber, WorkerCommand};

mod declaration;
mod losses;
mod slots;
#[cfg(test)]
pub(super) mod tests;

/// Interval of the leader's heartbeats, and of the check for silent workers.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);

/// A connected worker's stream.
struct SessionHandle {
    worker: InstanceId,
    commands: mpsc::Sender<WorkerCommand>,
}

/// An ended attempt whose decision waits for room in a batch.
struct Report {
    number: SessionNumber,
    attempt: AttemptId,
    outcome: AttemptOutcome,
}

/// All sessions.
pub(crate) struct Sessions {
    sessions: BTreeMap<InstanceId, Session>,
    handles: HashMap<SessionNumber, SessionHandle>,
    numbers: HashMap<InstanceId, SessionNumber>,
    losses: Losses,
    checkpoints: HashMap<AttemptId, Payload>,
    deferred: VecDeque<Report>,
    /// Mark of the last segment that has committed, for peers.
    mark: Mark,
    last_heartbeat: Duration,
    took_over: Duration,
    /// True while workers have time to declare what the ledger believes to run.
    awaits_declarations: bool,
}

impl Sessions {
    /// No session yet, at the moment of the takeover.
    pub fn new(now: Now, mark: Mark, ledger: &Ledger) -> Self {
        Self {
            sessions: BTreeMap::new(),
            handles: HashMap::new(),
            numbers: HashMap::new(),
            losses: Losses::default(),
            checkpoints: HashMap::new(),
            deferred: VecDeque::new(),
            mark,
            last_heartbeat: now.monotonic,
            took_over: now.monotonic,
            awaits_declarations: ledger.running().next().is_some(),
        }
    }

    /// Handles a [`SessionEvent`], and returns what is to be released once that is proved.
    pub fn handle(
        &mut self,
        number: SessionNumber,
        event: SessionEvent,
        decider: &mut Decider,
        ready: &mut ReadyQueue,
        now: Now,
    ) -> Vec<Release> {
        match event {
            SessionEvent::Opened { hello, commands } => {
                let handle = SessionHandle {
                    worker: hello.worker.clone(),
                    commands,
                };
                return self.open(number, hello, handle, decider, ready, now);
            }
            SessionEvent::Reported { attempt, outcome } => {
                let report = Report {
                    number,
                    attempt,
                    outcome,
                };
                return self.report(report, decider, ready, now);
            }
            SessionEvent::Progress {
                attempt,
                progress,
                checkpoint,
            } => {
                if self.advance(number, attempt, progress, decider, now)
                    && let Some(checkpoint) = checkpoint
                {
                    self.checkpoints.insert(attempt, checkpoint);
                }
            }
            SessionEvent::Heartbeat => self.refresh(number, now),
            SessionEvent::Draining => self.drain(number),
            SessionEvent::Closed => self.close(number),
        }
        Vec::new()
    }

    /// Opens a session: the attempts that its worker declares are compared with the ledger in a [`Declaration`].
    fn open(
        &mut self,
        number: SessionNumber,
        hello: SessionHello,
        handle: SessionHandle,
        decider: &mut Decider,
        ready: &mut ReadyQueue,
        now: Now,
    ) -> Vec<Release> {
        let Declaration { kept, stops, lost } = Declaration::reconcile(&hello, decider, ready, now);
        let worker = hello.worker;
        kept.iter().for_each(|attempt| self.losses.retract(*attempt));
        let exclusive = self.sessions.get(&worker).and_then(|before| before.exclusive);
        for attempt in lost {
            let alone = exclusive == Some(attempt) || self.losses.was_alone(attempt);
            self.losses.add(attempt, worker.clone(), alone);
        }
        let mut session = Session::new(worker.clone(), hello.slots, now.journal);
        session.kinds = hello.kinds;
        session.labels = hello.labels;
        // A suspect was started alone by the leader before.
        let exclusive = kept.first().copied().filter(|attempt| {
            let task = decider.ledger().task(&attempt.task);
            kept.len() == 1 && task.is_some_and(|task| task.is_suspect())
        });
        session.declare(kept);
        session.exclusive = exclusive;
        tracing::info!(%worker, slots = session.slots, running = session.running.len(), "worker joined");
        self.handles.insert(number, handle);
        if let Some(earlier) = self.numbers.insert(worker.clone(), number) {
            self.handles.remove(&earlier);
        }
        self.sessions.insert(worker.clone(), session);
        let (epoch, mark) = (decider.epoch(), self.mark.clone());
        self.send(number, WorkerCommand::Welcome { epoch, mark });
        // Its work is wanted until it is certain that it is not: what was decided may yet turn out never to have been.
        let stop = |attempt| {
            let worker = worker.clone();
            Release::Effect(Effect::Stop { attempt, worker })
        };
        stops.into_iter().map(stop).collect()
    }

    /// Records a sign of life.
    fn refresh(&mut self, number: SessionNumber, now: Now) {
        if let Some(session) = self.session_mut(number) {
            session.heard(now.journal);
        }
    }

    /// Keeps the progress of an attempt, and returns true, if it is the one that runs.
    fn advance(
        &mut self,
        number: SessionNumber,
        attempt: AttemptId,
        progress: Progress,
        decider: &mut Decider,
        now: Now,
    ) -> bool {
        self.refresh(number, now);
        let session = self.session_mut(number);
        let has_it = session.is_some_and(|session| session.running.contains(&attempt));
        let counts = has_it && runs(decider.ledger(), attempt);
        if counts {
            decider.views.advance(attempt, progress);
        }
        counts
    }

    /// Stops giving attempts to a worker.
    fn drain(&mut self, number: SessionNumber) {
        if let Some(session) = self.session_mut(number) {
            session.draining = true;
        }
    }

    /// Ends an attempt. Its slot is free at once; the report is acknowledged when its decision has committed.
    fn report(&mut self, report: Report, decider: &mut Decider, ready: &mut ReadyQueue, now: Now) -> Vec<Release> {
        let Report { number, attempt, .. } = report;
        self.refresh(number, now);
        if !decider.pipeline.has_room() {
            self.deferred.push_back(report);
            return Vec::new();
        }
        let Some(worker) = self.handles.get(&number).map(|handle| handle.worker.clone()) else {
            return Vec::new();
        };
        if let Some(session) = self.session_mut(number) {
            session.finish(&attempt);
        }
        let checkpoint = self.checkpoints.remove(&attempt);
        let command = decision(attempt, worker.clone(), report.outcome, checkpoint);
        let refused = decider.execute(command, now).err();
        // An attempt that the worker has let go of must not be taken for running, as when its report could not be kept.
        if refused.is_some() && runs(decider.ledger(), attempt) {
            self.losses.add(attempt, worker, false);
        }
        let mut releases = vec![Release::Settle(SettledReport {
            number,
            attempt,
            refused: refused.map(|rejection| rejection.api_error().reason),
            reported: now.monotonic,
        })];
        if ready.end_hold(&attempt.task) {
            releases.push(Release::Effect(Effect::Enqueue(attempt.task)));
        }
        releases
    }

    /// Ends a session whose stream has ended.
    fn close(&mut self, number: SessionNumber) {
        if let Some(handle) = self.handles.get(&number) {
            tracing::info!(worker = %handle.worker, "worker left");
        }
        self.disconnect(number);
    }

    /// Performs what is due: heartbeats, the end of silent sessions, of graces and of holds, and decisions that waited
    /// for room in a batch.
    pub fn tick(&mut self, decider: &mut Decider, ready: &mut ReadyQueue, now: Now) -> Vec<Release> {
        if now.monotonic.saturating_sub(self.last_heartbeat) >= HEARTBEAT_INTERVAL {
            self.last_heartbeat = now.monotonic;
            self.disconnect_silent(now);
            self.send_heartbeats();
        }
        let since_takeover = now.monotonic.saturating_sub(self.took_over);
        if self.awaits_declarations && since_takeover >= TAKEOVER_WAIT {
            self.awaits_declarations = false;
            let lost = overdue(decider.ledger(), &self.sessions, now.journal, since_takeover);
            self.losses.extend(lost);
        }
        let mut releases = Vec::new();
        for task in ready.expire_holds(now) {
            tracing::warn!(%task, "a report that a worker announced did not come; the task runs again");
            releases.push(Release::Effect(Effect::Enqueue(task)));
        }
        self.losses.expire(now.monotonic);
        while decider.pipeline.has_room() {
            if let Some(report) = self.deferred.pop_front() {
                releases.extend(self.report(report, decider, ready, now));
            } else if let Some(command) = self.losses.pop(&mut self.checkpoints) {
                // A loss that is refused concerns an attempt that has ended meanwhile.
                let _ended_meanwhile = decider.execute(command, now);
            } else {
                break;
            }
        }
        releases
    }

    fn disconnect_silent(&mut self, now: Now) {
        let silent = self
            .sessions
            .values()
            .filter(|session| session.is_silent(now.journal, SILENCE_MAX));
        let silent: Vec<_> = silent.filter_map(|session| self.number_of(&session.worker)).collect();
        for number in silent {
            tracing::warn!(session = number, "worker is silent; its attempts run elsewhere");
            self.disconnect(number);
        }
    }

    fn send_heartbeats(&mut self) {
        let numbers: Vec<_> = self.handles.keys().copied().collect();
        for number in numbers {
            let mark = self.mark.clone();
            self.send(number, WorkerCommand::Heartbeat { mark });
        }
    }

    /// Keeps the [`Mark`] of a committed segment, which workers are shown.
    pub fn committed(&mut self, mark: Mark) {
        self.mark = mark;
    }

    /// Number of a connected worker's session.
    pub fn number_of(&self, worker: &InstanceId) -> Option<SessionNumber> {
        self.numbers.get(worker).copied()
    }

    /// Number of attempts that run in all sessions.
    pub fn running(&self) -> usize {
        self.sessions.values().map(|session| session.running.len()).sum()
    }

    /// Records the loss of an attempt; the next [`tick`](Self::tick) decides it.
    pub fn lose(&mut self, attempt: AttemptId, worker: InstanceId) {
        self.losses.add(attempt, worker, false);
    }

    /// Sends an attempt to its worker, unless it was cancelled between its start and the commit of that.
    pub fn dispatch(&mut self, number: SessionNumber, attempt: AttemptId, ledger: &Ledger, now: Now) {
        let task = ledger.task(&attempt.task);
        if let Some(task) = task.filter(|task| task.running_attempt() == Some(attempt)) {
            let command = WorkerCommand::Assign {
                task: task.clone(),
                attempt,
                deadline_in: task.spec.deadline.map(|at| at.since(now.journal)),
            };
            self.send(number, command);
        }
    }

    /// Acknowledges a report by [`WorkerCommand::Settled`].
    pub fn settle(&mut self, report: SettledReport) {
        let SettledReport { attempt, refused, .. } = report;
        self.send(report.number, WorkerCommand::Settled { attempt, refused });
    }

    /// Has a worker stop an attempt, and takes the slot back.
    pub fn stop(&mut self, worker: &InstanceId, attempt: AttemptId) {
        if let Some(session) = self.sessions.get_mut(worker) {
            session.finish(&attempt);
        }
        self.checkpoints.remove(&attempt);
        if let Some(number) = self.number_of(worker) {
            self.send(number, WorkerCommand::Stop(attempt));
        }
    }

    /// Sends a [`WorkerCommand`]. A worker whose queue is full or closed loses its session.
    fn send(&mut self, number: SessionNumber, command: WorkerCommand) {
        let handle = self.handles.get(&number);
        if handle.is_none_or(|handle| handle.commands.try_send(command).is_err()) {
            self.disconnect(number);
        }
    }

    /// Ends a session: its attempts are lost, unless its worker is back within the grace.
    fn disconnect(&mut self, number: SessionNumber) {
        let Some(SessionHandle { worker, .. }) = self.handles.remove(&number) else {
            return;
        };
        // A newer session of the same worker keeps what the worker declared in it.
        if self.numbers.get(&worker) != Some(&number) {
            return;
        }
        self.numbers.remove(&worker);
        if let Some(session) = self.sessions.remove(&worker) {
            self.losses.disconnected(session.running, &worker, session.exclusive);
        }
    }

    fn session_mut(&mut self, number: SessionNumber) -> Option<&mut Session> {
        let worker = &self.handles.get(&number)?.worker;
        self.sessions.get_mut(worker)
    }
}

fn runs(ledger: &Ledger, attempt: AttemptId) -> bool {
    let task = ledger.task(&attempt.task);
    task.is_some_and(|task| task.running_attempt() == Some(attempt))
}

fn decision(attempt: AttemptId, worker: InstanceId, outcome: AttemptOutcome, checkpoint: Option<Payload>) -> Command {
    match outcome {
        AttemptOutcome::Output(output) => Command::Succeed {
            attempt,
            worker,
            output,
        },
        AttemptOutcome::Failure { error, retryable } => Command::Fail {
            attempt,
            worker,
            error,
            retryable,
            checkpoint,
        },
        AttemptOutcome::Returned => Command::Return {
            attempt,
            worker,
            checkpoint,
        },
    }
}
