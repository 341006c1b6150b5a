//! Online analysis: a body comes in, a worker answers.
//!
//! Promises: needs neither etcd nor a leader; at most two workers are tried, within the deadline and the retry budget;
//! a caller that hangs up stops the work. Leaves decoding rows to `rows` and the figures to the workers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use lepton_domain::admission::Gate;
use lepton_domain::ids::InstanceId;
use lepton_domain::reason::{Code, Fault, Reason};
use lepton_mesh::channel::pool::{Picked, Pool};
use lepton_mesh::clock::Clock;
use lepton_mesh::server::deadline::Deadline;
use lepton_mesh::telemetry::trace;
use lepton_proto::analysis::v1::{AnalyzeRequest, AnalyzeResponse, Consistency};
use lepton_proto::validate;
use prost::Message as _;

use super::budget::Budget;
use super::config::OnlineConfig;
use super::forward;
use super::message::{self, Message};
use super::rows::Decoder;
use crate::body::Incoming;

/// The RPC, here and at the workers.
pub const PATH: &str = "/lepton.analysis.v1.AnalysisService/Analyze";
/// Workers that are tried for one call.
const ATTEMPTS_MAX: usize = 2;
/// When to try again after no worker could take a call.
const RETRY: Duration = Duration::from_secs(1);

/// Everything that online calls need. Clones share it.
#[derive(Debug, Clone)]
pub struct Online {
    config: OnlineConfig,
    clock: Clock,
    workers: Pool,
    gate: Arc<Mutex<Gate>>,
    budget: Budget,
}

impl Online {
    /// Calls go to the workers of this pool.
    pub fn new(config: OnlineConfig, clock: Clock, workers: Pool) -> Self {
        let gate = Arc::new(Mutex::new(Gate::new(config.calls_max)));
        Self {
            gate,
            budget: Budget::new(clock.monotonic()),
            config,
            clock,
            workers,
        }
    }

    /// Analyses a JSON body while it arrives. Gives the encoded `AnalyzeResponse`.
    pub async fn analyze_json(&self, body: &mut Incoming, deadline: Option<Deadline>) -> Result<Bytes, Fault> {
        let _inside = self.enter()?;
        let deadline = self.deadline(deadline);
        let mut decoder = Decoder::new()?;
        while let Some(piece) = body.next().await? {
            decoder.feed(&piece)?;
        }
        let decoded = decoder.finish()?;
        check(&decoded.request)?;
        self.call(Message::of(decoded), deadline).await
    }

    /// Analyses an encoded `AnalyzeRequest`. Gives the encoded `AnalyzeResponse`.
    pub async fn analyze_encoded(&self, request: Bytes, deadline: Option<Deadline>) -> Result<Bytes, Fault> {
        let _inside = self.enter()?;
        let deadline = self.deadline(deadline);
        let head = message::peek(&request).map_err(|error| Fault::field("request", error.to_string()))?;
        check(&head)?;
        self.call(Message::encoded(request), deadline).await
    }

    /// Sends a request to a worker, and to a second one where that may help.
    async fn call(&self, message: Message, deadline: Deadline) -> Result<Bytes, Fault> {
        self.budget.earn(self.clock.monotonic());
        if message.len() > self.config.retry_body_bytes_max {
            let picked = self.pick(&[])?;
            return self.attempt(picked, message, deadline).await.map_err(unanswered);
        }
        let whole = message.into_whole();
        let mut tried = Vec::new();
        loop {
            let picked = self.pick(&tried)?;
            tried.push(picked.instance.clone());
            match self.attempt(picked, Message::encoded(whole.clone()), deadline).await {
                Err(fault) if self.may_retry(&fault, tried.len()) => {
                    tracing::debug!(%fault, "a worker did not answer; another is tried");
                }
                result => return result.map_err(unanswered),
            }
        }
    }

    async fn attempt(&self, picked: Picked, message: Message, deadline: Deadline) -> Result<Bytes, Fault> {
        let patience = deadline.remaining(&self.clock);
        let call = forward::unary(picked.channel, PATH, message.into_body(), patience);
        let late = || {
            Fault::new(
                Reason::DeadlineExceeded,
                "the analysis did not end within the caller's deadline",
            )
        };
        let result = tokio::time::timeout(patience, call)
            .await
            .unwrap_or_else(|_| Err(late()));
        match &result {
            Err(fault) if fault.code() == Code::Unavailable => picked.lease.fail(),
            // What is wrong with a request says nothing about its worker.
            _ => picked.lease.succeed(),
        }
        result.map(traced)
    }

    fn pick(&self, tried: &[InstanceId]) -> Result<Picked, Fault> {
        self.workers.pick(tried).ok_or_else(|| {
            Fault::new(Reason::NoWorker, "no worker answers at the moment; try again shortly").retry_after(RETRY)
        })
    }

    fn may_retry(&self, fault: &Fault, tried: usize) -> bool {
        fault.code() == Code::Unavailable && tried < ATTEMPTS_MAX && self.budget.spend(self.clock.monotonic())
    }

    fn deadline(&self, of_caller: Option<Deadline>) -> Deadline {
        of_caller.unwrap_or_else(|| Deadline::after(self.config.deadline, &self.clock))
    }

    fn enter(&self) -> Result<Inside, Fault> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner).enter()?;
        Ok(Inside(self.gate.clone()))
    }
}

/// A call that is under way; leaves through the gate however it ends.
struct Inside(Arc<Mutex<Gate>>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).leave();
    }
}

/// What the gateway decides about a request without its rows.
fn check(request: &AnalyzeRequest) -> Result<(), Fault> {
    validate::check_typed("lepton.analysis.v1.AnalyzeRequest", request)?;
    if request.consistency() == Consistency::Quorum {
        let message = "CONSISTENCY_QUORUM is not built yet; leave consistency out or send CONSISTENCY_ONE";
        return Err(Fault::new(Reason::ConsistencyUnsupported, message));
    }
    match &request.model {
        Some(model) => Err(crate::models::not_found(model)),
        None => Ok(()),
    }
}

/// A worker that broke off has left nothing behind, so the caller may simply try again.
fn unanswered(fault: Fault) -> Fault {
    if fault.code() != Code::Unavailable || fault.reason == Reason::NoWorker {
        return fault;
    }
    let message = format!("no worker finished it, and it may be repeated: {}", fault.message);
    Fault::new(Reason::NoWorker, message).retry_after(fault.retry_after.unwrap_or(RETRY))
}

/// Notes the trace in an encoded answer: of two values for one field the last counts.
fn traced(answer: Bytes) -> Bytes {
    let Some(trace_id) = trace::trace_id() else {
        return answer;
    };
    let mut noted = BytesMut::from(answer);
    noted.extend_from_slice(
        &AnalyzeResponse {
            trace_id,
            ..Default::default()
        }
        .encode_to_vec(),
    );
    noted.freeze()
}
