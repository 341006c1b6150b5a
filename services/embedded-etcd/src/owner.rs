//! The owner: the one task that holds the state.
//!
//! It drains its inbox, applies the calls in order, and sends entries and answers to the [`Log`], without waiting for the disk:
//! while one frame is synced, the next gathers. Watches receive what the log reports as durable. Leases end by tokio's
//! clock, so a test or simulator may make time.

use crate::{
    error::Error,
    handle::{Call, Reply},
    log::{Batch, Log, LogClosed, Progress, Release},
    machine::{self, Machine},
    rpc_error::RpcError,
    watch::Watches,
    wire::{CompactionRequest, CompactionResponse, StatusResponse},
};
use std::time::Duration;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

#[cfg(test)]
mod tests;

/// Calls applied before their entries go to the log.
const BATCH_CALLS: usize = 256;

/// Interval of retries for watchers whose queue was full.
const LAG_RETRY: Duration = Duration::from_millis(2);

/// Interval at which streams whose client has gone are removed.
const SWEEP: Duration = Duration::from_secs(1);

/// The version that `Status` names: the etcd release whose behaviour this is.
const VERSION: &str = "3.4.23+lepton";

/// Behaviour of the [`Owner`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub keep_revisions: Option<u64>,
    pub keep_bytes: Option<u64>,
    pub progress_interval: Duration,
}

/// The state, its [`Log`] and its [`Watches`].
pub(crate) struct Owner {
    machine: Machine,
    log: Log,
    progress: watch::Receiver<Progress>,
    watches: Watches,
    settings: Settings,
    started: Instant,
    next_sweep: Duration,
    next_report: Duration,
    /// The segment after which a rewrite was requested, so that it is requested once.
    rewritten: Option<u64>,
}

impl Owner {
    /// Takes over recovered state. All leases begin their time now.
    pub fn new(mut machine: Machine, log: Log, settings: Settings) -> Self {
        machine.renew_leases(Duration::ZERO);
        let watches = Watches::new(machine.store().revision());
        let progress = log.progress();
        let started = now();
        let next_report = settings.progress_interval;
        Self {
            machine,
            log,
            progress,
            watches,
            settings,
            started,
            next_sweep: SWEEP,
            next_report,
            rewritten: None,
        }
    }

    /// Works until `stop`, then answers the queued calls and ends the log; or until the disk fails.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Call>, stop: CancellationToken) -> Result<(), Error> {
        let mut calls = Vec::with_capacity(BATCH_CALLS);
        loop {
            let wake = self.started + self.next_wake();
            let step = tokio::select! {
                count = inbox.recv_many(&mut calls, BATCH_CALLS) => {
                    if count == 0 { break }
                    self.serve(&mut calls).await
                }
                changed = self.progress.changed() => changed.map_err(|_| LogClosed),
                () = sleep_until(wake) => Ok(()),
                () = stop.cancelled(), if !inbox.is_closed() => { inbox.close(); Ok(()) }
            };
            if step.is_err() || self.keep_up().await.is_err() {
                break;
            }
        }
        self.log.close().await
    }

    /// Applies calls in order and sends them to the log.
    async fn serve(&mut self, calls: &mut Vec<Call>) -> Result<(), LogClosed> {
        let mut answers = Vec::with_capacity(calls.len());
        for call in calls.drain(..) {
            match call {
                Call::Compact(request, answer) => {
                    self.submit(std::mem::take(&mut answers)).await?;
                    self.compact(&request, Some(answer)).await?;
                }
                Call::Defragment(answer) => {
                    self.submit(std::mem::take(&mut answers)).await?;
                    let mut done = Vec::with_capacity(1);
                    reply(&mut done, answer, Ok(self.machine.header()));
                    self.log.rewrite(self.machine.image(), done.pop()).await?;
                }
                other => self.apply(other, &mut answers),
            }
        }
        self.submit(answers).await
    }

    fn apply(&mut self, call: Call, answers: &mut Vec<Release>) {
        let now = self.now();
        let machine = &mut self.machine;
        // A call may have waited past the end of a lease, which must not begin again then.
        machine.expire(now);
        match call {
            Call::Range(request, answer) => reply(answers, answer, machine.range(&request)),
            Call::Put(request, answer) => reply(answers, answer, machine.put(&request)),
            Call::Delete(request, answer) => reply(answers, answer, machine.delete(&request)),
            Call::Txn(request, answer) => reply(answers, answer, machine.txn(&request)),
            Call::Grant(request, answer) => reply(answers, answer, machine.grant(&request, now)),
            Call::Revoke(request, answer) => reply(answers, answer, machine.revoke(&request)),
            Call::KeepAlive(request, answer) => reply(answers, answer, Ok(machine.keep_alive(&request, now))),
            Call::TimeToLive(request, answer) => reply(answers, answer, Ok(machine.time_to_live(&request, now))),
            Call::Leases(answer) => reply(answers, answer, Ok(machine.leases())),
            Call::Header(answer) => reply(answers, answer, Ok(machine.header())),
            Call::Status(answer) => reply(answers, answer, Ok(self.status())),
            Call::WatchOpen(queue, answer) => reply(answers, answer, Ok(self.watches.open(queue))),
            Call::WatchCreate(stream, request, permit) => {
                self.watches.create(machine.store(), stream, request, permit);
            }
            Call::WatchCancel(stream, id, permit) => self.watches.cancel(stream, id, permit),
            Call::WatchProgress(stream, permit) => self.watches.report_progress(stream, permit),
            Call::Compact(..) | Call::Defragment(..) => unreachable!("`serve` keeps these, because they wait"),
        }
    }

    /// Sends entries and answers to the log as a [`Batch`]. With nothing unwritten before them, answers need not go through it.
    async fn submit(&mut self, answers: Vec<Release>) -> Result<(), LogClosed> {
        let entries = self.machine.take_fresh();
        let index = self.machine.index();
        if entries.is_empty() && self.progress.borrow().index == index {
            answers.into_iter().for_each(|release| release());
            return Ok(());
        }
        let revision = self.machine.store().revision();
        self.log
            .append(Batch {
                entries,
                index,
                revision,
                answers,
            })
            .await
    }

    /// Compacts once everything before is durable and sent, so that no watch loses events.
    async fn compact(
        &mut self,
        request: &CompactionRequest,
        answer: Option<Reply<CompactionResponse>>,
    ) -> Result<(), LogClosed> {
        let index = self.machine.index();
        let durable = self
            .progress
            .wait_for(|progress| progress.index >= index)
            .await
            .map_err(|_| LogClosed)?
            .revision;
        self.watches.advance(self.machine.store(), durable);
        let result = self.machine.compact(request);
        let mut answers = Vec::new();
        if let Some(answer) = answer {
            reply(&mut answers, answer, result);
        }
        self.submit(answers).await
    }

    /// Reacts to new durable state and to the passing of time.
    async fn keep_up(&mut self) -> Result<(), LogClosed> {
        let progress = *self.progress.borrow_and_update();
        self.watches.advance(self.machine.store(), progress.revision);
        let now = self.now();
        self.machine.expire(now);
        if now >= self.next_sweep {
            self.watches.sweep();
            self.next_sweep = now + SWEEP;
        }
        if now >= self.next_report {
            self.watches.notify_progress();
            self.next_report = now + self.settings.progress_interval;
        }
        self.submit(Vec::new()).await?;
        if let Some(request) = self
            .machine
            .compaction_due(self.settings.keep_revisions, self.settings.keep_bytes)
        {
            self.compact(&request, None).await?;
        }
        if progress.rewrite_due && self.rewritten != Some(progress.segment) {
            self.rewritten = Some(progress.segment);
            self.log.rewrite(self.machine.image(), None).await?;
        }
        Ok(())
    }

    fn next_wake(&self) -> Duration {
        let lag = self.watches.is_lagging().then(|| self.now() + LAG_RETRY);
        let times = [
            Some(self.next_sweep),
            Some(self.next_report),
            self.machine.next_deadline(),
            lag,
        ];
        times.into_iter().flatten().min().unwrap_or(self.next_sweep)
    }

    fn status(&self) -> StatusResponse {
        let index = self.machine.index();
        let used = self.machine.store().bytes() as i64;
        StatusResponse {
            header: Some(self.machine.header()),
            version: VERSION.into(),
            // Without a disk the data is all there is.
            db_size: used.max(self.progress.borrow().disk_bytes as i64),
            leader: machine::MEMBER_ID,
            raft_index: index,
            raft_term: machine::TERM,
            raft_applied_index: index,
            db_size_in_use: used,
        }
    }

    fn now(&self) -> Duration {
        now().duration_since(self.started)
    }
}

fn reply<T: Send + 'static>(answers: &mut Vec<Release>, to: Reply<T>, result: Result<T, RpcError>) {
    // A client that went away does not want its answer.
    answers.push(Box::new(move || drop(to.send(result))));
}

/// Tokio's clock, which stands still or jumps where a test wants it to.
#[allow(
    clippy::disallowed_methods,
    reason = "this crate is below the mesh and its clock; a simulator controls tokio's"
)]
fn now() -> Instant {
    Instant::now()
}
