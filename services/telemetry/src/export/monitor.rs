//! The exporter to the mesh's own receivers: the monitor that leads, and the others while it does not answer.
//!
//! Promises: a batch that one cannot take is sent to the next, a few times in all; whoever took the last one gets the
//! next. Leaves where they are to whoever writes the addresses, and batching to the SDK.

use std::sync::Arc;
use std::time::Duration;

use lepton_core::net::Net;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::resource;
use crate::trace::Scope;

/// Deadline of one batch at one receiver.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Time that a batch waits for a receiver to be known.
const RECEIVER_TIMEOUT: Duration = Duration::from_secs(5);
/// Attempts at delivering one batch.
const ATTEMPTS_MAX: u32 = 3;
/// The pause before another attempt at the same receiver.
const PAUSE: Duration = Duration::from_millis(500);

/// Sends batches to the leading monitor.
#[derive(Debug)]
pub(super) struct MonitorExporter {
    /// The batch processor's thread has no runtime.
    runtime: Handle,
    whole: Arc<Scope>,
    receivers: Arc<Mutex<Receivers>>,
}

impl MonitorExporter {
    /// `addresses` are `HOST:PORT` of each receiver, the best first.
    pub fn new(
        addresses: watch::Receiver<Vec<String>>,
        whole: Arc<Scope>,
        net: Net,
        closing: CancellationToken,
    ) -> Self {
        let receivers = Receivers {
            addresses,
            position: 0,
            client: None,
            net,
            closing,
        };
        Self {
            runtime: Handle::current(),
            whole,
            receivers: Arc::new(Mutex::new(receivers)),
        }
    }
}

impl SpanExporter for MonitorExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let request = ExportTraceServiceRequest {
            resource_spans: resource::spans(batch, &self.whole),
        };
        let receivers = self.receivers.clone();
        let sent = self
            .runtime
            .spawn(async move { receivers.lock().await.deliver(&request).await });
        // A runtime that has ended takes nothing any more.
        let delivered = sent
            .await
            .unwrap_or_else(|_| Err(Status::cancelled("the runtime has ended")));
        delivered.map_err(|status| OTelSdkError::InternalFailure(status.to_string()))
    }
}

/// The receivers and the position among them.
#[derive(Debug)]
struct Receivers {
    addresses: watch::Receiver<Vec<String>>,
    /// The one that took the last message: one that is silent costs time, and is left until they change.
    position: usize,
    /// The client of the address that was used last.
    client: Option<(String, TraceServiceClient<Channel>)>,
    net: Net,
    closing: CancellationToken,
}

impl Receivers {
    async fn deliver(&mut self, request: &ExportTraceServiceRequest) -> Result<(), Status> {
        let mut attempt = 1;
        loop {
            let failure = match self.send(request).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if !is_retryable(&failure) || attempt >= ATTEMPTS_MAX || self.closing.is_cancelled() {
                return Err(failure);
            }
            attempt += 1;
            self.position = self.position.wrapping_add(1);
            if self.addresses.borrow().len() > 1 {
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.closing.cancelled() => {}
            }
        }
    }

    async fn send(&mut self, request: &ExportTraceServiceRequest) -> Result<(), Status> {
        let mut client = self.client().await?;
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, client.export(request.clone())).await;
        let answer = answer.map_err(|_| Status::deadline_exceeded("no answer in time"))??;
        if let Some(partial) = answer
            .into_inner()
            .partial_success
            .filter(|partial| partial.rejected_spans > 0)
        {
            let (spans, why) = (partial.rejected_spans, partial.error_message);
            tracing::debug!(receiver = "mesh", spans, why, "spans were refused");
        }
        Ok(())
    }

    async fn client(&mut self) -> Result<TraceServiceClient<Channel>, Status> {
        let address = self.address().await?;
        if let Some((known, client)) = &self.client
            && *known == address
        {
            return Ok(client.clone());
        }
        let client = TraceServiceClient::new(self.net.channel(&address));
        self.client = Some((address, client.clone()));
        Ok(client)
    }

    /// Waits a while for an address; not when the process ends.
    async fn address(&mut self) -> Result<String, Status> {
        if self.addresses.has_changed().unwrap_or(false) {
            self.position = 0;
        }
        let closing = self.closing.clone();
        tokio::select! {
            biased;
            // Without a sender nothing changes any more, and what is there counts.
            _ = self.addresses.wait_for(|addresses| !addresses.is_empty()) => {}
            () = tokio::time::sleep(RECEIVER_TIMEOUT) => {}
            () = closing.cancelled() => {}
        }
        let addresses = self.addresses.borrow();
        let address = addresses.get(self.position % addresses.len().max(1)).cloned();
        address.ok_or_else(|| Status::failed_precondition("no receiver is known"))
    }
}

/// Returns true when another attempt may help.
fn is_retryable(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Aborted | Code::Unknown
    )
}
