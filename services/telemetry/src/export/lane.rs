//! The way to one receiver.
//!
//! Promises: a bounded number of batches waits; one that cannot be delivered is tried again a few times and then dropped
//! and counted. Leaves batching to `export`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::{Batch, COLLECTOR, dropped};
use lepton_core::context::Context;
use lepton_core::metrics::Counter;
use lepton_core::net::Net;

mod post;

/// Batches that may wait.
const BATCHES_MAX: usize = 16;
/// How long a receiver may take for one.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// How long a batch waits for a receiver to be known.
const RECEIVER_WAIT: Duration = Duration::from_secs(5);
/// How often a batch is sent at most.
const ATTEMPTS_MAX: u32 = 3;
/// The pause before another attempt.
const PAUSE: Duration = Duration::from_millis(500);

/// Where a lane leads.
#[derive(Debug)]
pub(crate) struct Target {
    /// `HOST:PORT` of each receiver, the best first; empty while none is known.
    addresses: watch::Receiver<Vec<String>>,
    /// Which of them took the last message: one that is silent costs time, and is left until they change.
    turn: usize,
    /// What each message carries along.
    headers: MetadataMap,
    /// Where messages are posted, `/v1/traces` as a rule; none for gRPC.
    path: Option<String>,
}

impl Target {
    /// To addresses that are found, and may change.
    pub fn found(addresses: watch::Receiver<Vec<String>>) -> Self {
        Self {
            addresses,
            turn: 0,
            headers: MetadataMap::new(),
            path: None,
        }
    }

    /// To this address for ever: over HTTP to this path, else over gRPC.
    pub fn fixed(address: String, path: Option<String>, headers: MetadataMap) -> Self {
        let (_, addresses) = watch::channel(vec![address]);
        Self {
            addresses,
            turn: 0,
            headers,
            path,
        }
    }

    /// The address whose turn it is, once there is one.
    async fn wait(&mut self) -> Option<String> {
        if self.addresses.has_changed().unwrap_or(false) {
            self.turn = 0;
        }
        // Without a sender nothing changes any more, and what is there counts.
        let _ = self.addresses.wait_for(|addresses| !addresses.is_empty()).await;
        self.known()
    }

    fn known(&self) -> Option<String> {
        let addresses = self.addresses.borrow();
        addresses.get(self.turn % addresses.len().max(1)).cloned()
    }

    /// Passes on to the next address; whether there is another.
    fn pass(&mut self) -> bool {
        self.turn = self.turn.wrapping_add(1);
        self.addresses.borrow().len() > 1
    }
}

/// Takes batches. Never blocks.
#[derive(Debug)]
pub(super) struct Lane {
    batches: mpsc::Sender<Arc<Batch>>,
    dropped: Counter,
}

impl Lane {
    pub fn send(&self, batch: &Arc<Batch>) {
        if self.batches.try_send(batch.clone()).is_err() {
            self.dropped.inc_by(batch.spans);
        }
    }
}

/// A lane, and the work of it, which ends when the lane is dropped and empty.
pub(super) fn open(
    name: &'static str,
    target: Target,
    context: &Context,
    closing: CancellationToken,
) -> (Lane, impl Future<Output = ()> + use<>) {
    let (batches, waiting) = mpsc::channel(BATCHES_MAX);
    let dropped = dropped(&context.metrics, name);
    let sender = Sender {
        name,
        target,
        net: context.net,
        client: None,
        closing,
        failing: false,
    };
    let lane = Lane {
        batches,
        dropped: dropped.clone(),
    };
    (lane, sender.run(waiting, dropped))
}

struct Sender {
    name: &'static str,
    target: Target,
    net: Net,
    /// The client of the address that was used last.
    client: Option<(String, TraceServiceClient<Channel>)>,
    closing: CancellationToken,
    /// Whether it was said that nothing arrives.
    failing: bool,
}

impl Sender {
    async fn run(mut self, mut waiting: mpsc::Receiver<Arc<Batch>>, dropped: Counter) {
        while let Some(batch) = waiting.recv().await {
            let delivered = self.deliver(&batch).await;
            if let Err(status) = &delivered {
                dropped.inc_by(batch.spans);
                tracing::debug!(receiver = self.name, spans = batch.spans, %status, "traces were not exported");
            }
            self.tell(delivered.err());
        }
    }

    /// Says once that a collector gets nothing, and once that it does again. The mesh's own monitors come and go, which
    /// is seen elsewhere.
    fn tell(&mut self, failure: Option<Status>) {
        if self.name != COLLECTOR || self.failing == failure.is_some() {
            return;
        }
        self.failing = failure.is_some();
        match failure {
            Some(status) => tracing::warn!(%status, "the collector gets no traces; they are dropped until it does"),
            None => tracing::info!("the collector gets traces again"),
        }
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<(), Status> {
        let mut attempt = 1;
        loop {
            let failure = match self.send(batch).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if !is_passing(&failure) || attempt >= ATTEMPTS_MAX || self.closing.is_cancelled() {
                return Err(failure);
            }
            attempt += 1;
            if self.target.pass() {
                continue;
            }
            let pause = tokio::time::sleep(PAUSE);
            tokio::select! {
                () = pause => {}
                () = self.closing.cancelled() => {}
            }
        }
    }

    async fn send(&mut self, batch: &Batch) -> Result<(), Status> {
        let address = self.address().await?;
        let answered = async {
            match &self.target.path {
                Some(path) => post::post(self.net, &address, path, &self.target.headers, &batch.request).await,
                None => {
                    let mut request = Request::new(batch.request.clone());
                    *request.metadata_mut() = self.target.headers.clone();
                    let mut client = self.client(address);
                    Ok(client.export(request).await?.into_inner())
                }
            }
        };
        let answer = tokio::time::timeout(ANSWER_WAIT, answered).await;
        let answer = answer.map_err(|_| Status::deadline_exceeded("no answer in time"))??;
        if let Some(partial) = answer.partial_success.filter(|partial| partial.rejected_spans > 0) {
            let (spans, why) = (partial.rejected_spans, partial.error_message);
            tracing::debug!(receiver = self.name, spans, why, "spans were refused");
        }
        Ok(())
    }

    async fn address(&mut self) -> Result<String, Status> {
        let unknown = || Status::failed_precondition("no receiver is known");
        tokio::select! {
            address = self.target.wait() => address.ok_or_else(unknown),
            () = tokio::time::sleep(RECEIVER_WAIT) => Err(unknown()),
            () = self.closing.cancelled() => self.target.known().ok_or_else(unknown),
        }
    }

    fn client(&mut self, address: String) -> TraceServiceClient<Channel> {
        if let Some((known, client)) = &self.client
            && *known == address
        {
            return client.clone();
        }
        let client = TraceServiceClient::new(self.net.channel(&address));
        self.client = Some((address, client.clone()));
        client
    }
}

/// Whether another attempt may help.
fn is_passing(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Aborted | Code::Unknown
    )
}
