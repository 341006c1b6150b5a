//! Balancer of online calls: each takes a permit, a deadline, a worker, perhaps a second one.
//!
//! Promises: needs neither etcd nor a leader; at most two workers are tried, within the deadline and the retry budget;
//! a caller that hangs up stops the work. Leaves what is sent and what the answer means to the kinds of calls, and the budget
//! to `tower`'s `TpsBudget`. The limit of calls is the domain's [`Gate`]: `tower`'s `ConcurrencyLimit` takes its permit before it
//! has seen the request, so that those of other kinds would count, and its `LoadShed` refuses without a figure.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lepton_core::clock::Clock;
use lepton_domain::admission::Gate;
use lepton_domain::ids::InstanceId;
use lepton_domain::reason::{ApiError, Code, Reason};
use lepton_mesh::channel::pool::{Picked, Pool};
use lepton_mesh::server::deadline::Deadline;
use tower::retry::budget::{Budget as _, TpsBudget};

use super::client::{self, Outgoing};
use super::config::OnlineConfig;
use super::error::ProxyError;
use super::request::WorkerRequest;
use crate::models::{Routing, RoutingError};
use crate::request::Caller;

/// Retries a second, in addition to those that calls pay for.
const RETRIES_PER_S: u32 = 10;
/// Retries that a call pays for: ten pay for one.
const RETRIES_PER_CALL: f32 = 0.1;
/// Time for which the budget counts calls and retries.
const BUDGET_WINDOW: Duration = Duration::from_secs(1);
/// Workers that are tried for one call.
const ATTEMPTS_MAX: usize = 2;
/// Time that a gateway may take after its start to read the registry and to reach a worker.
const ACQUAINTANCE: Duration = Duration::from_secs(2);

/// Sends online calls to workers. Clones share its limits.
#[derive(Debug, Clone)]
pub struct Balancer {
    config: OnlineConfig,
    clock: Clock,
    workers: Pool,
    routing: Routing,
    gate: Arc<Mutex<Gate>>,
    /// Second tries, of which a fleet in trouble must not get many.
    budget: Arc<TpsBudget>,
    /// Time from which on no worker in the view means that there is none.
    acquainted_at: Duration,
}

/// The model that a call needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRef {
    /// Its name.
    pub name: String,
    /// Its version; absent: the one that is served.
    pub version: Option<u32>,
}

/// A worker for a call, and the version of the model that it has.
#[derive(Debug)]
pub struct ChosenWorker {
    /// The worker.
    pub picked: Picked,
    /// The version; absent where no model is asked.
    pub version: Option<u32>,
}

impl Balancer {
    /// A balancer over the workers of this pool. [`Routing`] knows which of them have a model.
    pub fn new(config: OnlineConfig, clock: Clock, workers: Pool, routing: Routing) -> Self {
        let gate = Arc::new(Mutex::new(Gate::new(config.calls_max)));
        Self {
            gate,
            budget: Arc::new(retry_budget()),
            acquainted_at: clock.monotonic() + ACQUAINTANCE,
            config,
            clock,
            workers,
            routing,
        }
    }

    /// Takes a place among the calls under way; refused when there is none.
    pub fn enter(&self) -> Result<CallPermit, ApiError> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner).enter()?;
        Ok(CallPermit(self.gate.clone()))
    }

    /// Deadline of a call: its caller's, or the configured one.
    pub fn deadline(&self, of_caller: Option<Deadline>) -> Deadline {
        of_caller.unwrap_or_else(|| Deadline::after(self.config.deadline, &self.clock))
    }

    /// Reads what a call needs, in time.
    pub async fn within<T>(
        &self,
        deadline: Deadline,
        read: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let read = tokio::time::timeout(deadline.remaining(&self.clock), read).await;
        read.unwrap_or_else(|_| Err(ProxyError::RequestLate.into()))
    }

    /// Sends a caller's request to a worker, and to a second one where that may help. Gives the encoded answer.
    pub async fn call(
        &self,
        caller: &Caller,
        path: &str,
        model_ref: Option<&ModelRef>,
        message: WorkerRequest,
        deadline: Deadline,
    ) -> Result<Bytes, ApiError> {
        self.budget.deposit();
        if message.bytes() > self.config.retry_body_bytes_max {
            let chosen = self.choose(caller, model_ref, &[], deadline).await?;
            return self.attempt(path, chosen, message, deadline).await.map_err(unanswered);
        }
        let whole = message.into_whole();
        let mut tried = Vec::new();
        loop {
            let chosen = self.choose(caller, model_ref, &tried, deadline).await?;
            tried.push(chosen.picked.instance.clone());
            match self
                .attempt(path, chosen, WorkerRequest::encoded(whole.clone()), deadline)
                .await
            {
                Err(error) if self.may_retry(&error, tried.len()) => {
                    tracing::debug!(%error, "a worker did not answer; another is tried");
                }
                result => return result.map_err(unanswered),
            }
        }
    }

    /// A worker for the call that was not tried yet.
    async fn choose(
        &self,
        caller: &Caller,
        model_ref: Option<&ModelRef>,
        tried: &[InstanceId],
        deadline: Deadline,
    ) -> Result<ChosenWorker, ApiError> {
        match model_ref {
            Some(ModelRef { name, version }) => {
                let (routing, tenant) = (&self.routing, &caller.tenant);
                let (picked, version) = routing.choose(tenant, name, *version, tried, deadline).await?;
                Ok(ChosenWorker {
                    picked,
                    version: Some(version),
                })
            }
            None => {
                let picked = self.any_worker(tried, deadline).await?;
                Ok(ChosenWorker { picked, version: None })
            }
        }
    }

    /// Any worker. A gateway that has just started waits for the first: it may only not have found any yet.
    async fn any_worker(&self, tried: &[InstanceId], deadline: Deadline) -> Result<Picked, ApiError> {
        loop {
            if let Some(picked) = self.workers.pick(tried) {
                return Ok(picked);
            }
            let fresh = self.acquainted_at.saturating_sub(self.clock.monotonic());
            let patience = fresh.min(deadline.remaining(&self.clock));
            if !tried.is_empty() || patience.is_zero() {
                return Err(RoutingError::NoWorker.into());
            }
            // A timeout is looked into like a change.
            let _elapsed = tokio::time::timeout(patience, self.workers.changed()).await;
        }
    }

    async fn attempt(
        &self,
        path: &str,
        chosen: ChosenWorker,
        message: WorkerRequest,
        deadline: Deadline,
    ) -> Result<Bytes, ApiError> {
        let ChosenWorker { picked, version } = chosen;
        let patience = deadline.remaining(&self.clock);
        let outgoing = Outgoing {
            path,
            body: message.into_body(),
            patience,
            model_version: version,
        };
        let call = client::unary(picked.channel, outgoing);
        let result = tokio::time::timeout(patience, call)
            .await
            .unwrap_or_else(|_| Err(ProxyError::AnswerLate.into()));
        match &result {
            // One that lacks the model is well all the same.
            Err(error) if error.code() == Code::Unavailable && error.reason != Reason::ModelNotReady => {
                picked.lease.fail();
            }
            // What is wrong with a request says nothing about its worker.
            _ => picked.lease.succeed(),
        }
        result
    }

    fn may_retry(&self, error: &ApiError, tried: usize) -> bool {
        error.code() == Code::Unavailable && tried < ATTEMPTS_MAX && self.budget.withdraw()
    }
}

/// The budget of second tries, whose time is tokio's, as the [`Clock`]'s is.
fn retry_budget() -> TpsBudget {
    TpsBudget::new(BUDGET_WINDOW, RETRIES_PER_S, RETRIES_PER_CALL)
}

/// A call that is under way; leaves through the gate however it ends.
#[derive(Debug)]
pub struct CallPermit(Arc<Mutex<Gate>>);

impl Drop for CallPermit {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).leave();
    }
}

/// A worker that broke off has left nothing behind, so the caller may simply try again.
fn unanswered(error: ApiError) -> ApiError {
    let kept = matches!(error.reason, Reason::NoWorker | Reason::ModelNotReady);
    if error.code() != Code::Unavailable || kept {
        return error;
    }
    let ApiError {
        message: why,
        retry_after,
        ..
    } = error;
    ProxyError::Unanswered { why, retry_after }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn retries_are_a_tenth_of_the_calls_and_ten_a_second() {
        let budget = retry_budget();
        let spent = || (0..1_000).filter(|_| budget.withdraw()).count();
        assert_eq!(spent(), 10);
        (0..50).for_each(|_| budget.deposit());
        assert_eq!(spent(), 5);
        tokio::time::advance(2 * BUDGET_WINDOW).await;
        assert_eq!(spent(), 10);
        tokio::time::advance(60 * BUDGET_WINDOW).await;
        assert_eq!(spent(), 10, "what is not used is not saved up");
    }
}
