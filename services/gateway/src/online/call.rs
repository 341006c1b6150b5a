//! What all online calls have in common: a place among those under way, a deadline, a worker, perhaps a second one.
//!
//! Promises: needs neither etcd nor a leader; at most two workers are tried, within the deadline and the retry budget;
//! a caller that hangs up stops the work. Leaves what is sent and what the answer means to the kinds of calls.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lepton_core::clock::Clock;
use lepton_domain::admission::Gate;
use lepton_domain::ids::InstanceId;
use lepton_domain::reason::{Code, Fault, Reason};
use lepton_mesh::channel::pool::{Picked, Pool};
use lepton_mesh::server::deadline::Deadline;

use super::budget::Budget;
use super::config::OnlineConfig;
use super::forward::{self, Outgoing};
use super::message::Message;
use crate::models::Routes;

/// Workers that are tried for one call.
const ATTEMPTS_MAX: usize = 2;
/// How long a gateway that has started may take to read the registry and to hear from a worker.
const ACQUAINTANCE: Duration = Duration::from_secs(2);
/// When to try again after no worker could take a call.
const RETRY: Duration = Duration::from_secs(1);

/// Where online calls go. Clones share it.
#[derive(Debug, Clone)]
pub struct Calls {
    config: OnlineConfig,
    clock: Clock,
    workers: Pool,
    routes: Routes,
    gate: Arc<Mutex<Gate>>,
    budget: Budget,
    /// When a gateway that has found no worker can take it that there is none.
    acquainted_at: Duration,
}

/// The model that a call needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// Its version; absent: the one that is served.
    pub version: Option<u32>,
}

/// A worker for a call, and the version of the model that it has.
#[derive(Debug)]
pub struct Chosen {
    /// The worker.
    pub picked: Picked,
    /// The version; absent where no model is asked.
    pub version: Option<u32>,
}

impl Calls {
    /// Calls go to the workers of this pool; `routes` knows which of them have a model.
    pub fn new(config: OnlineConfig, clock: Clock, workers: Pool, routes: Routes) -> Self {
        let gate = Arc::new(Mutex::new(Gate::new(config.calls_max)));
        Self {
            gate,
            budget: Budget::new(clock.monotonic()),
            acquainted_at: clock.monotonic() + ACQUAINTANCE,
            config,
            clock,
            workers,
            routes,
        }
    }

    /// Takes a place among the calls under way; refused when there is none.
    pub fn enter(&self) -> Result<Inside, Fault> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner).enter()?;
        Ok(Inside(self.gate.clone()))
    }

    /// When a call has to be over.
    pub fn deadline(&self, of_caller: Option<Deadline>) -> Deadline {
        of_caller.unwrap_or_else(|| Deadline::after(self.config.deadline, &self.clock))
    }

    /// Reads what a call needs, in time.
    pub async fn within<T>(
        &self,
        deadline: Deadline,
        read: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let read = tokio::time::timeout(deadline.remaining(&self.clock), read).await;
        read.unwrap_or_else(|_| {
            let message = "the request was not all there when its time was over";
            Err(Fault::new(Reason::DeadlineExceeded, message))
        })
    }

    /// Sends a request to a worker, and to a second one where that may help. Gives the encoded answer.
    pub async fn call(
        &self,
        path: &str,
        wanted: Option<&Wanted>,
        message: Message,
        deadline: Deadline,
    ) -> Result<Bytes, Fault> {
        self.budget.earn(self.clock.monotonic());
        if message.bytes() > self.config.retry_body_bytes_max {
            let chosen = self.choose(wanted, &[], deadline).await?;
            return self.attempt(path, chosen, message, deadline).await.map_err(unanswered);
        }
        let whole = message.into_whole();
        let mut tried = Vec::new();
        loop {
            let chosen = self.choose(wanted, &tried, deadline).await?;
            tried.push(chosen.picked.instance.clone());
            match self
                .attempt(path, chosen, Message::encoded(whole.clone()), deadline)
                .await
            {
                Err(fault) if self.may_retry(&fault, tried.len()) => {
                    tracing::debug!(%fault, "a worker did not answer; another is tried");
                }
                result => return result.map_err(unanswered),
            }
        }
    }

    /// A worker for the call that was not tried yet.
    async fn choose(&self, wanted: Option<&Wanted>, tried: &[InstanceId], deadline: Deadline) -> Result<Chosen, Fault> {
        match wanted {
            Some(Wanted { name, version }) => {
                let (picked, version) = self.routes.choose(name, *version, tried, deadline).await?;
                Ok(Chosen {
                    picked,
                    version: Some(version),
                })
            }
            None => {
                let picked = self.any_worker(tried, deadline).await?;
                Ok(Chosen { picked, version: None })
            }
        }
    }

    /// Any worker. A gateway that has just started waits for the first: it may only not have found any yet.
    async fn any_worker(&self, tried: &[InstanceId], deadline: Deadline) -> Result<Picked, Fault> {
        loop {
            if let Some(picked) = self.workers.pick(tried) {
                return Ok(picked);
            }
            let fresh = self.acquainted_at.saturating_sub(self.clock.monotonic());
            let patience = fresh.min(deadline.remaining(&self.clock));
            if !tried.is_empty() || patience.is_zero() {
                return Err(no_worker());
            }
            // A timeout is looked into like a change.
            let _elapsed = tokio::time::timeout(patience, self.workers.changed()).await;
        }
    }

    async fn attempt(&self, path: &str, chosen: Chosen, message: Message, deadline: Deadline) -> Result<Bytes, Fault> {
        let Chosen { picked, version } = chosen;
        let patience = deadline.remaining(&self.clock);
        let outgoing = Outgoing {
            path,
            body: message.into_body(),
            patience,
            model_version: version,
        };
        let call = forward::unary(picked.channel, outgoing);
        let result = tokio::time::timeout(patience, call)
            .await
            .unwrap_or_else(|_| Err(late()));
        match &result {
            // One that lacks the model is well all the same.
            Err(fault) if fault.code() == Code::Unavailable && fault.reason != Reason::ModelNotReady => {
                picked.lease.fail();
            }
            // What is wrong with a request says nothing about its worker.
            _ => picked.lease.succeed(),
        }
        result
    }

    fn may_retry(&self, fault: &Fault, tried: usize) -> bool {
        fault.code() == Code::Unavailable && tried < ATTEMPTS_MAX && self.budget.spend(self.clock.monotonic())
    }
}

/// A call that is under way; leaves through the gate however it ends.
#[derive(Debug)]
pub struct Inside(Arc<Mutex<Gate>>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).leave();
    }
}

/// What callers are told when no worker answers.
pub fn no_worker() -> Fault {
    Fault::new(Reason::NoWorker, "no worker answers at the moment; try again shortly").retry_after(RETRY)
}

fn late() -> Fault {
    Fault::new(
        Reason::DeadlineExceeded,
        "the worker's answer was not there within the caller's deadline",
    )
}

/// A worker that broke off has left nothing behind, so the caller may simply try again.
fn unanswered(fault: Fault) -> Fault {
    let told = matches!(fault.reason, Reason::NoWorker | Reason::ModelNotReady);
    if fault.code() != Code::Unavailable || told {
        return fault;
    }
    let message = format!("no worker finished it, and it may be repeated: {}", fault.message);
    Fault::new(Reason::NoWorker, message).retry_after(fault.retry_after.unwrap_or(RETRY))
}
