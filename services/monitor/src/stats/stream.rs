//! Listens to one instance.
//!
//! Promises: dials again with growing pauses until it is stopped, and tells what happened each time. Leaves judging
//! to `discover`.

use std::time::Duration;

use lepton_domain::ids::InstanceId;
use lepton_proto::fleet::v1::fleet_service_client::FleetServiceClient;
use lepton_proto::fleet::v1::{WatchStatsRequest, WatchStatsResponse};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::Status;
use tonic::transport::Channel;

/// How long the first message may take: a stopped process accepts connections and says nothing.
const FIRST_MESSAGE_WAIT: Duration = Duration::from_secs(3);

/// How long to wait before dialling again; doubles up to [`PAUSE_MAX`]. Short at first: losses are noticed by it.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What happened on a stream.
#[derive(Debug)]
pub(crate) struct Report {
    /// Which instance it concerns.
    pub instance: InstanceId,
    /// Which of the streams to that instance: reports of one that was stopped may still be on their way.
    pub stream: u64,
    /// What happened.
    pub event: Event,
}

/// What can happen on a stream.
#[derive(Debug)]
pub(crate) enum Event {
    /// The instance told its load.
    Heard(Box<WatchStatsResponse>),
    /// The instance ended the stream in order, as one does that is about to stop.
    Ended,
    /// The stream broke, or could not be opened.
    Failed,
}

/// Where a stream goes, and where its reports go.
#[derive(Debug)]
pub(crate) struct Listen {
    /// Whom to listen to.
    pub instance: InstanceId,
    /// The number of this stream.
    pub stream: u64,
    /// How to reach it.
    pub channel: Channel,
    /// How often it should tell its load.
    pub interval: Duration,
    /// Where to report.
    pub reports: mpsc::Sender<Report>,
}

impl Listen {
    /// Listens until it is aborted or nobody reads the reports.
    pub async fn run(self) {
        let mut pause = PAUSE;
        loop {
            let mut heard = false;
            let event = match self.one_stream(&mut heard).await {
                Ok(()) => Event::Ended,
                Err(status) => {
                    tracing::trace!(instance = %self.instance, %status, "no stats stream");
                    Event::Failed
                }
            };
            if heard {
                pause = PAUSE;
            }
            if !self.report(event).await {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Reads one stream to its end.
    async fn one_stream(&self, heard: &mut bool) -> Result<(), Status> {
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
            *heard = true;
            if !self.report(Event::Heard(Box::new(stats))).await {
                return Ok(());
            }
            next = stream.message().await?;
        }
        Ok(())
    }

    /// Whether somebody reads it.
    async fn report(&self, event: Event) -> bool {
        let report = Report {
            instance: self.instance.clone(),
            stream: self.stream,
            event,
        };
        self.reports.send(report).await.is_ok()
    }
}
