//! The workers that have a session, and what each of them runs.
//!
//! Promises: an attempt is in at most one session; a worker that falls silent, or whose stream ends, loses what it had
//! unless it is back at once, and one that comes back without an attempt loses that; the ledger hears of each loss. Leaves
//! the stream to `session::stream` and choosing to `assign`.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use lepton_domain::ids::{AttemptId, InstanceId, TaskId};
use lepton_domain::ledger::{Command, Effect};
use lepton_domain::reason::Fault;
use lepton_domain::session::{Reconciled, SILENCE_MAX, Session, TAKEOVER_WAIT, awaited, overdue, reconcile};
use lepton_domain::task::Task;
use lepton_proto::journal::v1::Mark;
use lepton_proto::task::v1::Progress;
use tokio::sync::mpsc;

use super::Leader;
use super::batch::Release;
use super::message::{Hello, Message, Outcome, SessionNumber};
use crate::session::stream::{Outgoing, heartbeat, settled, stop, welcome};

/// How often workers hear from the leader and are checked for silence.
const BEAT: Duration = Duration::from_millis(500);
/// How long a worker whose stream broke may take to come back before what it ran is lost: a worker that lives dials again
/// within 50 ms, and a dead one's attempts should run elsewhere within a second.
const RETURN_WAIT: Duration = Duration::from_millis(300);

/// All sessions.
pub(crate) struct Roster {
    /// What each connected worker runs.
    pub sessions: BTreeMap<InstanceId, Session>,
    wires: HashMap<SessionNumber, Wire>,
    numbers: HashMap<InstanceId, SessionNumber>,
    /// Losses that wait for room in a batch.
    losses: VecDeque<Command>,
    /// What ran in sessions that have just ended, until its worker is back or given up.
    left: Vec<(AttemptId, InstanceId)>,
    leaving: VecDeque<(Duration, Command)>,
    /// Reports that wait for room in a batch.
    deferred: VecDeque<Message>,
    last_beat: Duration,
    took_over: Duration,
    awaits_declarations: bool,
}

struct Wire {
    worker: InstanceId,
    outgoing: mpsc::Sender<Outgoing>,
}

impl Roster {
    /// Nobody yet, at this moment of the monotonic clock.
    pub fn new(now: Duration, awaits_declarations: bool) -> Self {
        Self {
            sessions: BTreeMap::new(),
            wires: HashMap::new(),
            numbers: HashMap::new(),
            losses: VecDeque::new(),
            left: Vec::new(),
            leaving: VecDeque::new(),
            deferred: VecDeque::new(),
            last_beat: now,
            took_over: now,
            awaits_declarations,
        }
    }

    /// Sends to a worker; a worker whose queue is full or closed has lost its session.
    pub fn send(&mut self, number: SessionNumber, message: Outgoing) -> bool {
        let sent = self
            .wires
            .get(&number)
            .is_some_and(|wire| wire.outgoing.try_send(message).is_ok());
        if !sent {
            self.drop_session(number);
        }
        sent
    }

    /// The session's number of a connected worker.
    pub fn number_of(&self, worker: &InstanceId) -> Option<SessionNumber> {
        self.numbers.get(worker).copied()
    }

    /// Tells a worker what became of its report.
    pub fn settled(&mut self, number: SessionNumber, attempt: AttemptId, refused: Option<Fault>) {
        self.send(number, settled(attempt, refused));
    }

    /// Tells a worker to stop an attempt and takes its slot back.
    pub fn stop(&mut self, worker: &InstanceId, attempt: AttemptId) {
        if let Some(session) = self.sessions.get_mut(worker) {
            session.finish(&attempt);
        }
        if let Some(number) = self.number_of(worker) {
            self.send(number, stop(attempt));
        }
    }

    /// Notes the loss of an attempt.
    pub fn lose(&mut self, attempt: AttemptId, worker: InstanceId) {
        self.losses.push_back(Command::Lose { attempt, worker });
    }

    /// Takes back the loss of an attempt that turns out to go on.
    fn keep(&mut self, kept: AttemptId) {
        let other = |loss: &Command| !matches!(loss, Command::Lose { attempt, .. } if *attempt == kept);
        self.losses.retain(other);
        self.left.retain(|(attempt, _)| *attempt != kept);
        self.leaving.retain(|(_, loss)| other(loss));
    }

    /// What ran in ended sessions is lost once its worker has had time to come back.
    fn give_up_leaving(&mut self, now: Duration) {
        for (attempt, worker) in self.left.drain(..) {
            self.leaving
                .push_back((now + RETURN_WAIT, Command::Lose { attempt, worker }));
        }
        while let Some((_, loss)) = self.leaving.pop_front_if(|(due, _)| *due <= now) {
            self.losses.push_back(loss);
        }
    }

    /// Ends a session: what it ran is lost, unless its worker is back at once.
    fn drop_session(&mut self, number: SessionNumber) {
        let Some(wire) = self.wires.remove(&number) else { return };
        // A newer session of the same worker keeps what the worker declared in it.
        if self.numbers.get(&wire.worker) != Some(&number) {
            return;
        }
        self.numbers.remove(&wire.worker);
        let running = self
            .sessions
            .remove(&wire.worker)
            .map(|session| session.running)
            .unwrap_or_default();
        self.left
            .extend(running.into_iter().map(|attempt| (attempt, wire.worker.clone())));
    }
}

impl Leader {
    /// A worker opened a session: what it declares is compared with the ledger.
    pub(super) fn opened(&mut self, number: SessionNumber, hello: Hello, outgoing: mpsc::Sender<Outgoing>) {
        let Hello {
            worker,
            slots,
            kinds,
            labels,
            running,
            ended,
        } = hello;
        let mut session = Session::new(worker.clone(), slots, self.clock.now());
        session.kinds = kinds;
        session.labels = labels;
        let mut stops = Vec::new();
        let mut kept = Vec::new();
        let awaited = awaited(&self.ledger, &ended);
        for found in reconcile(&self.ledger, &running, &worker) {
            match found {
                Reconciled::Adopt(attempt) => {
                    self.roster.keep(attempt);
                    kept.push(attempt);
                }
                // Its report is on its way: running the task once more would be for nothing.
                Reconciled::Stop(attempt) if awaited.contains(&attempt) => self.hold(attempt),
                Reconciled::Stop(attempt) => stops.push(attempt),
                Reconciled::Start(command) => match (started(&command), self.carry_out(command)) {
                    (Some(attempt), Ok(())) => kept.push(attempt),
                    (attempt, _) => stops.extend(attempt),
                },
            }
        }
        session.declare(kept);
        self.undeclared(&session);
        tracing::info!(%worker, slots, running = session.running.len(), "worker joined");
        self.roster.wires.insert(
            number,
            Wire {
                worker: worker.clone(),
                outgoing,
            },
        );
        if let Some(earlier) = self.roster.numbers.insert(worker.clone(), number) {
            self.roster.wires.remove(&earlier);
        }
        self.roster.sessions.insert(worker.clone(), session);
        let mark = self.mark();
        self.roster.send(number, welcome(self.epoch, mark));
        // Its work is wanted until it is certain that it is not: what was decided may yet turn out never to have been.
        for attempt in stops {
            let worker = worker.clone();
            self.release(Release::Effect(Effect::Stop { attempt, worker }));
        }
    }

    /// What the ledger believes to run on a worker that says otherwise is lost.
    fn undeclared(&mut self, session: &Session) {
        let lost: Vec<AttemptId> = self
            .ledger
            .running()
            .filter(|task| {
                task.attempt
                    .as_ref()
                    .is_some_and(|attempt| attempt.worker == session.worker)
            })
            .filter_map(|task| task.running_attempt())
            .filter(|attempt| !session.running.contains(attempt))
            .collect();
        for attempt in lost {
            self.roster.lose(attempt, session.worker.clone());
        }
    }

    /// A worker gave a sign of life.
    pub(super) fn heard(&mut self, number: SessionNumber) {
        let now = self.clock.now();
        if let Some(session) = self.session_mut(number) {
            session.heard(now);
        }
    }

    /// An attempt says how far it is. Only the one that runs is heard.
    pub(super) fn advanced(&mut self, number: SessionNumber, attempt: AttemptId, progress: Progress) {
        self.heard(number);
        let has_it = self
            .session_mut(number)
            .is_some_and(|session| session.running.contains(&attempt));
        let task = self.ledger.task(&attempt.task);
        if has_it && task.is_some_and(|task| task.running_attempt() == Some(attempt)) {
            let progress = self.headway.note(attempt.task, progress);
            self.watchers.advance(attempt, &progress);
        }
    }

    /// A worker takes nothing new.
    pub(super) fn draining(&mut self, number: SessionNumber) {
        if let Some(session) = self.session_mut(number) {
            session.draining = true;
        }
    }

    /// An attempt ended. Its slot is free at once; the worker hears back when the outcome has committed.
    pub(super) fn reported(&mut self, number: SessionNumber, attempt: AttemptId, outcome: Outcome) {
        self.heard(number);
        if self.batch.as_ref().is_some_and(super::Batch::is_full) {
            self.roster.deferred.push_back(Message::Reported {
                number,
                attempt,
                outcome,
            });
            return;
        }
        let Some(wire) = self.roster.wires.get(&number) else {
            return;
        };
        let worker = wire.worker.clone();
        if let Some(session) = self.session_mut(number) {
            session.finish(&attempt);
        }
        let command = match outcome {
            Outcome::Output(output) => Command::Succeed {
                attempt,
                worker: worker.clone(),
                output,
            },
            Outcome::Failure { error, retryable } => Command::Fail {
                attempt,
                worker: worker.clone(),
                error,
                retryable,
            },
        };
        let refused = self.carry_out(command).err().map(|rejection| rejection.fault());
        // What the worker has let go of must not be taken for running, as when its report could not be kept.
        let runs = |task: &Arc<Task>| task.running_attempt() == Some(attempt);
        if refused.is_some() && self.ledger.task(&attempt.task).is_some_and(runs) {
            self.roster.lose(attempt, worker);
        }
        self.release(Release::Settle {
            number,
            attempt,
            refused,
            reported: self.clock.monotonic(),
        });
        if self.holds.end(&attempt.task) {
            self.resume(attempt.task);
        }
    }

    /// A worker's stream ended.
    pub(super) fn closed(&mut self, number: SessionNumber) {
        if let Some(wire) = self.roster.wires.get(&number) {
            tracing::info!(worker = %wire.worker, "worker left");
        }
        self.roster.drop_session(number);
    }

    /// Heartbeats out, silent workers away, and what nobody declared after a takeover lost.
    pub(super) fn watch_workers(&mut self) {
        let now = self.clock.monotonic();
        if now.saturating_sub(self.roster.last_beat) >= BEAT {
            self.roster.last_beat = now;
            self.beat();
        }
        let since_takeover = now.saturating_sub(self.roster.took_over);
        if self.roster.awaits_declarations && since_takeover >= TAKEOVER_WAIT {
            self.roster.awaits_declarations = false;
            let lost = overdue(&self.ledger, &self.roster.sessions, self.clock.now(), since_takeover);
            self.roster.losses.extend(lost);
        }
        for task in self.holds.expire(now) {
            tracing::warn!(%task, "a report that a worker announced did not come; the task runs again");
            self.resume(task);
        }
        self.catch_up();
    }

    /// Keeps a task out of the queue until the report of this attempt is here.
    fn hold(&mut self, attempt: AttemptId) {
        if self.holds.hold(attempt, self.clock.monotonic()) {
            self.queue.remove(&attempt.task);
        }
    }

    /// Lets a task that was held go on, if it is still pending once everything decided so far has committed.
    fn resume(&mut self, task: TaskId) {
        self.release(Release::Effect(Effect::Enqueue(task)));
    }

    fn beat(&mut self) {
        let now = self.clock.now();
        let silent: Vec<SessionNumber> = self
            .roster
            .sessions
            .values()
            .filter(|session| session.is_silent(now, SILENCE_MAX))
            .filter_map(|session| self.roster.number_of(&session.worker))
            .collect();
        for number in silent {
            tracing::warn!(session = number, "worker is silent; its attempts run elsewhere");
            self.roster.drop_session(number);
        }
        let mark = self.mark();
        let numbers: Vec<SessionNumber> = self.roster.wires.keys().copied().collect();
        for number in numbers {
            self.roster.send(number, heartbeat(mark.clone()));
        }
    }

    /// Decides what had to wait for room in a batch.
    fn catch_up(&mut self) {
        self.roster.give_up_leaving(self.clock.monotonic());
        while !self.batch.as_ref().is_some_and(super::Batch::is_full) {
            if let Some(Message::Reported {
                number,
                attempt,
                outcome,
            }) = self.roster.deferred.pop_front()
            {
                self.reported(number, attempt, outcome);
            } else if let Some(command) = self.roster.losses.pop_front() {
                // A loss that is refused concerns an attempt that has ended meanwhile.
                let _ended_meanwhile = self.carry_out(command);
            } else {
                return;
            }
        }
    }

    fn session_mut(&mut self, number: SessionNumber) -> Option<&mut Session> {
        let worker = &self.roster.wires.get(&number)?.worker;
        self.roster.sessions.get_mut(worker)
    }

    fn mark(&self) -> Mark {
        self.world.progress.borrow().mark.clone()
    }
}

fn started(command: &Command) -> Option<AttemptId> {
    match command {
        Command::Start { attempt, .. } => Some(*attempt),
        _ => None,
    }
}
