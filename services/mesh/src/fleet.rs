//! What an instance tells of itself: `lepton.fleet.v1.FleetService`, the same for every service.
//!
//! Promises: the first message comes at once, then one at each interval and one as soon as the drain begins; when the
//! server closes, a last one that says so ends the stream, so that nobody takes a farewell for a loss. Leaves the
//! figures to each service.

use std::ops::RangeInclusive;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, stream};
use lepton_domain::reason::Fault;
use lepton_proto::fleet::v1::fleet_service_server::FleetService;
use lepton_proto::fleet::v1::{WatchStatsRequest, WatchStatsResponse};
use tonic::{Request, Response, Status};

use lepton_core::error::status;
use lepton_core::process;
use lepton_core::shutdown::Shutdown;

pub mod latency;
#[cfg(test)]
mod tests;

/// Intervals that may be asked for, in milliseconds.
const INTERVAL_MS: RangeInclusive<u32> = 50..=60_000;
/// The interval where none is asked for.
const INTERVAL_MS_DEFAULT: u32 = 1_000;

/// Whom the messages are about.
pub trait Subject: Clone + Send + Sync + 'static {
    /// What one watcher has been told, for figures that cover the time since its last message.
    type Memory: Default + Send;

    /// Its state and load now. What it says of the process and of the drain is overwritten.
    fn tell(&self, memory: &mut Self::Memory) -> WatchStatsResponse;
}

/// The service.
#[derive(Debug, Clone)]
pub struct Fleet<S> {
    subject: S,
    draining: Shutdown,
    closing: Shutdown,
}

impl<S: Subject> Fleet<S> {
    /// Tells of `subject`. `draining` is triggered when nothing new is taken, `closing` when the server is about to close;
    /// they may be the same.
    pub fn new(subject: S, draining: Shutdown, closing: Shutdown) -> Self {
        Self {
            subject,
            draining,
            closing,
        }
    }

    fn watch(&self, interval: Duration) -> impl Stream<Item = WatchStatsResponse> + Send + use<S> {
        let watcher = Watcher {
            fleet: self.clone(),
            memory: S::Memory::default(),
            interval,
            drain_told: None,
        };
        stream::unfold(Some(watcher), async |watcher| Some(watcher?.next().await))
    }
}

/// One caller, between two messages.
struct Watcher<S: Subject> {
    fleet: Fleet<S>,
    memory: S::Memory,
    interval: Duration,
    /// Whether the last message told of the drain; `None` before the first.
    drain_told: Option<bool>,
}

impl<S: Subject> Watcher<S> {
    /// The next message; without a watcher it is the last one.
    async fn next(mut self) -> (WatchStatsResponse, Option<Self>) {
        if let Some(drain_told) = self.drain_told {
            let Fleet { draining, closing, .. } = &self.fleet;
            tokio::select! {
                () = closing.triggered() => {}
                // Pickers must not send more calls for the rest of an interval.
                () = draining.triggered(), if !drain_told => {}
                () = tokio::time::sleep(self.interval) => {}
            }
        }
        let closes = self.fleet.closing.is_triggered();
        let draining = closes || self.fleet.draining.is_triggered();
        let told = self.fleet.subject.tell(&mut self.memory);
        let usage = process::usage();
        let message = WatchStatsResponse {
            draining,
            ready: told.ready && !draining,
            cpu_us: usage.cpu_us,
            resident_bytes: usage.resident_bytes,
            ..told
        };
        self.drain_told = Some(draining);
        (message, (!closes).then_some(self))
    }
}

#[tonic::async_trait]
impl<S: Subject> FleetService for Fleet<S> {
    type WatchStatsStream = Pin<Box<dyn Stream<Item = Result<WatchStatsResponse, Status>> + Send>>;

    async fn watch_stats(
        &self,
        request: Request<WatchStatsRequest>,
    ) -> Result<Response<Self::WatchStatsStream>, Status> {
        let interval = interval(request.get_ref().interval_ms).map_err(|fault| status(&fault))?;
        let messages = futures::StreamExt::map(self.watch(interval), Ok);
        Ok(Response::new(Box::pin(messages)))
    }
}

fn interval(asked_ms: u32) -> Result<Duration, Fault> {
    let interval_ms = match asked_ms {
        0 => INTERVAL_MS_DEFAULT,
        asked if INTERVAL_MS.contains(&asked) => asked,
        asked => {
            let message = format!("{asked} is not 0 or 50 to 60,000");
            return Err(Fault::field("interval_ms", message));
        }
    };
    Ok(Duration::from_millis(interval_ms.into()))
}
