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

use super::{Batch, dropped};
use crate::context::Context;
use crate::net::Net;
use crate::telemetry::metrics::Counter;

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
pub(in crate::telemetry) struct Target {
    /// `HOST:PORT`; none while none is known.
    address: watch::Receiver<Option<String>>,
    /// What each message carries along.
    headers: MetadataMap,
}

impl Target {
    /// To an address that is found, and may change.
    pub fn found(address: watch::Receiver<Option<String>>) -> Self {
        Self {
            address,
            headers: MetadataMap::new(),
        }
    }

    /// To this address for ever.
    pub fn fixed(address: String, headers: MetadataMap) -> Self {
        let (_, address) = watch::channel(Some(address));
        Self { address, headers }
    }

    /// The address, once there is one.
    async fn wait(&mut self) -> Option<String> {
        // Without a sender nothing changes any more, and what is there counts.
        let found = self
            .address
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|it| it.clone());
        found.or_else(|| self.address.borrow().clone())
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
}

impl Sender {
    async fn run(mut self, mut waiting: mpsc::Receiver<Arc<Batch>>, dropped: Counter) {
        while let Some(batch) = waiting.recv().await {
            if let Err(status) = self.deliver(&batch).await {
                dropped.inc_by(batch.spans);
                tracing::debug!(receiver = self.name, spans = batch.spans, %status, "traces were not exported");
            }
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
            let pause = tokio::time::sleep(PAUSE);
            tokio::select! {
                () = pause => {}
                () = self.closing.cancelled() => {}
            }
        }
    }

    async fn send(&mut self, batch: &Batch) -> Result<(), Status> {
        let mut client = self.client().await?;
        let mut request = Request::new(batch.request.clone());
        *request.metadata_mut() = self.target.headers.clone();
        let answer = tokio::time::timeout(ANSWER_WAIT, client.export(request)).await;
        let answer = answer
            .map_err(|_| Status::deadline_exceeded("no answer in time"))??
            .into_inner();
        if let Some(partial) = answer.partial_success.filter(|partial| partial.rejected_spans > 0) {
            let (spans, why) = (partial.rejected_spans, partial.error_message);
            tracing::debug!(receiver = self.name, spans, why, "spans were refused");
        }
        Ok(())
    }

    async fn client(&mut self) -> Result<TraceServiceClient<Channel>, Status> {
        let unknown = || Status::failed_precondition("no receiver is known");
        let address = tokio::select! {
            address = self.target.wait() => address.ok_or_else(unknown)?,
            () = tokio::time::sleep(RECEIVER_WAIT) => return Err(unknown()),
            () = self.closing.cancelled() => self.target.address.borrow().clone().ok_or_else(unknown)?,
        };
        if let Some((known, client)) = &self.client
            && *known == address
        {
            return Ok(client.clone());
        }
        let client = TraceServiceClient::new(self.net.channel(&address));
        self.client = Some((address, client.clone()));
        Ok(client)
    }
}

/// Whether another attempt may help.
fn is_passing(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Aborted | Code::Unknown
    )
}
