//! Stats stream of one instance.
//!
//! Promises: reconnects with growing delays until it is aborted, and reports every event. Leaves the verdict to
//! [`crate::watch`].

use std::time::Duration;

use lepton_core::backoff::Backoff;
use lepton_domain::ids::InstanceId;
use lepton_proto::fleet::v1::fleet_service_client::FleetServiceClient;
use lepton_proto::fleet::v1::{WatchStatsRequest, WatchStatsResponse};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::Status;
use tonic::transport::Channel;

/// Time limit of the first message: a suspended process accepts connections and sends nothing.
const FIRST_MESSAGE_WAIT: Duration = Duration::from_secs(3);

/// First delay of the [`Backoff`] before a reconnect. Short, because losses are detected by it.
const DELAY_MIN: Duration = Duration::from_millis(100);
/// Longest delay before a reconnect.
const DELAY_MAX: Duration = Duration::from_secs(2);

/// [`StreamEvent`] of an instance.
#[derive(Debug)]
pub(crate) struct StreamReport {
    /// Instance that the stream observes.
    pub instance: InstanceId,
    /// Number of the stream, as reports of a closed one may still be queued.
    pub stream: u64,
    /// The event.
    pub event: StreamEvent,
}

/// Event on a stream.
#[derive(Debug)]
pub(crate) enum StreamEvent {
    /// A report of the instance's load.
    Received(Box<WatchStatsResponse>),
    /// Orderly end of the stream, by an instance that is about to stop.
    Ended,
    /// Break of the stream, or failure to open it.
    Failed,
}

/// Stream of an instance's load, reconnected until it is aborted.
#[derive(Debug)]
pub(crate) struct StatsStream {
    /// Instance to observe.
    pub instance: InstanceId,
    /// Number of this stream.
    pub stream: u64,
    /// Connection to it.
    pub channel: Channel,
    /// Interval at which it reports.
    pub interval: Duration,
    /// Queue of the watcher.
    pub reports: mpsc::Sender<StreamReport>,
}

impl StatsStream {
    /// Runs until it is aborted or the watcher is gone.
    pub async fn run(self) {
        let mut backoff = Backoff::new(DELAY_MIN, DELAY_MAX);
        loop {
            let mut received = false;
            let event = match self.one_stream(&mut received).await {
                Ok(()) => StreamEvent::Ended,
                Err(status) => {
                    tracing::trace!(instance = %self.instance, %status, "no stats stream");
                    StreamEvent::Failed
                }
            };
            if received {
                backoff.reset();
            }
            if !self.report(event).await {
                return;
            }
            tokio::time::sleep(backoff.delay()).await;
        }
    }

    /// Forwards the reports of one connection until its end.
    async fn one_stream(&self, received: &mut bool) -> Result<(), Status> {
        let late = |_| Status::deadline_exceeded("nothing came");
        let mut client = FleetServiceClient::new(self.channel.clone());
        let interval_ms = u32::try_from(self.interval.as_millis()).unwrap_or(u32::MAX);
        let opening = client.watch_stats(WatchStatsRequest { interval_ms });
        let mut stream = timeout(FIRST_MESSAGE_WAIT, opening).await.map_err(late)??.into_inner();
        let mut next = timeout(FIRST_MESSAGE_WAIT, stream.message()).await.map_err(late)??;
        while let Some(stats) = next {
            // A port may have been taken over by another process.
            if stats.instance != self.instance.as_str() {
                return Err(Status::not_found(format!("{} answers there", stats.instance)));
            }
            *received = true;
            if !self.report(StreamEvent::Received(Box::new(stats))).await {
                return Ok(());
            }
            next = stream.message().await?;
        }
        Ok(())
    }

    /// Sends a report; returns false once the watcher is gone.
    async fn report(&self, event: StreamEvent) -> bool {
        let report = StreamReport {
            instance: self.instance.clone(),
            stream: self.stream,
            event,
        };
        self.reports.send(report).await.is_ok()
    }
}
