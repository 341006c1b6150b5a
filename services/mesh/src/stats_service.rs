//! Stats of an instance: `lepton.fleet.v1.FleetService`, the same for every service.
//!
//! Promises: the first message comes at once, then one at each interval and one as soon as the drain begins; when the
//! server closes, a last one with that fact ends the stream, so that a shutdown is not taken for a loss. Leaves the
//! figures to each service.

use std::ops::RangeInclusive;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, stream};
use lepton_domain::reason::ApiError;
use lepton_proto::fleet::v1::fleet_service_server::FleetService;
use lepton_proto::fleet::v1::{WatchStatsRequest, WatchStatsResponse};
use tonic::{Request, Response, Status};

use lepton_core::conditions::Conditions;
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

/// Source of the stats that a [`StatsService`] sends.
pub trait StatsSource: Clone + Send + Sync + 'static {
    /// State of one watcher, for figures that cover the time since its last message.
    type Cursor: Default + Send;

    /// Returns state and load now. The fields about the process, the drain and conditions are overwritten.
    fn snapshot(&self, cursor: &mut Self::Cursor) -> WatchStatsResponse;
}

/// The service.
#[derive(Debug, Clone)]
pub struct StatsService<S> {
    source: S,
    conditions: Conditions,
    draining: Shutdown,
    closing: Shutdown,
}

impl<S: StatsSource> StatsService<S> {
    /// Reports the stats of `source`. `draining` is triggered when nothing new is taken, `closing` when the server is
    /// about to close; they may be the same.
    pub fn new(source: S, draining: Shutdown, closing: Shutdown) -> Self {
        Self {
            source,
            conditions: Conditions::default(),
            draining,
            closing,
        }
    }

    /// Reports the conditions that stand in `conditions`, too.
    pub fn with_conditions(self, conditions: Conditions) -> Self {
        Self { conditions, ..self }
    }

    fn watch(&self, interval: Duration) -> impl Stream<Item = WatchStatsResponse> + Send + use<S> {
        let watcher = Watcher {
            service: self.clone(),
            cursor: S::Cursor::default(),
            interval,
            drain_reported: None,
        };
        stream::unfold(Some(watcher), async |watcher| Some(watcher?.next().await))
    }
}

/// One caller, between two messages.
struct Watcher<S: StatsSource> {
    service: StatsService<S>,
    cursor: S::Cursor,
    interval: Duration,
    /// True if the last message reported the drain; `None` before the first.
    drain_reported: Option<bool>,
}

impl<S: StatsSource> Watcher<S> {
    /// The next message; without a watcher it is the last one.
    async fn next(mut self) -> (WatchStatsResponse, Option<Self>) {
        if let Some(drain_reported) = self.drain_reported {
            let StatsService { draining, closing, .. } = &self.service;
            tokio::select! {
                () = closing.triggered() => {}
                // Pickers must not send more calls for the rest of an interval.
                () = draining.triggered(), if !drain_reported => {}
                () = tokio::time::sleep(self.interval) => {}
            }
        }
        let closes = self.service.closing.is_triggered();
        let draining = closes || self.service.draining.is_triggered();
        let reported = self.service.source.snapshot(&mut self.cursor);
        let usage = process::usage();
        let message = WatchStatsResponse {
            draining,
            ready: reported.ready && !draining,
            cpu_us: usage.cpu_us,
            resident_bytes: usage.resident_bytes,
            conditions: self.service.conditions.standing().iter().map(Into::into).collect(),
            ..reported
        };
        self.drain_reported = Some(draining);
        (message, (!closes).then_some(self))
    }
}

#[tonic::async_trait]
impl<S: StatsSource> FleetService for StatsService<S> {
    type WatchStatsStream = Pin<Box<dyn Stream<Item = Result<WatchStatsResponse, Status>> + Send>>;

    async fn watch_stats(
        &self,
        request: Request<WatchStatsRequest>,
    ) -> Result<Response<Self::WatchStatsStream>, Status> {
        let interval = interval(request.get_ref().interval_ms).map_err(|error| status(&error))?;
        let messages = futures::StreamExt::map(self.watch(interval), Ok);
        Ok(Response::new(Box::pin(messages)))
    }
}

fn interval(requested_ms: u32) -> Result<Duration, ApiError> {
    let interval_ms = match requested_ms {
        0 => INTERVAL_MS_DEFAULT,
        requested if INTERVAL_MS.contains(&requested) => requested,
        requested => {
            let message = format!("{requested} is not 0 or 50 to 60,000");
            return Err(ApiError::field("interval_ms", message));
        }
    };
    Ok(Duration::from_millis(interval_ms.into()))
}
