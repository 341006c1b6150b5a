//! What this gateway tells of its own load: `lepton.fleet.v1.FleetService`.
//!
//! Promises: counting costs a request two atomics and a short lock. Leaves metrics to `mesh::server`.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use lepton_domain::ids::InstanceId;
use lepton_mesh::clock::Clock;
use lepton_mesh::server::health::Readiness;
use lepton_mesh::shutdown::Shutdown;
use lepton_mesh::telemetry::process;
use lepton_proto::fleet::v1::fleet_service_server::FleetService;
use lepton_proto::fleet::v1::{WatchStatsRequest, WatchStatsResponse};
use tonic::{Request, Response, Status};

/// Latencies that are remembered: enough for a median, few enough to sort.
const LATENCIES_MAX: usize = 1_024;
/// The interval where the request names none.
const INTERVAL_DEFAULT_MS: u32 = 1_000;

/// Counts requests. Clones share the counts.
#[derive(Debug, Clone)]
pub struct Meter {
    counts: Arc<Counts>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Counts {
    in_flight: AtomicU32,
    finished: AtomicU64,
    failed: AtomicU64,
    /// When requests finished and how long they took, the newest last.
    latencies: Mutex<VecDeque<(Duration, Duration)>>,
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Measured {
    meter: Meter,
    begun: Duration,
    failed: bool,
}

impl Meter {
    /// Nothing counted yet.
    pub fn new(clock: Clock) -> Self {
        Self {
            counts: Arc::default(),
            clock,
        }
    }

    /// Notes that a request has come; it is counted as finished when the result is dropped.
    pub fn begin(&self) -> Measured {
        self.counts.in_flight.fetch_add(1, Ordering::Relaxed);
        Measured {
            meter: self.clone(),
            begun: self.clock.monotonic(),
            failed: false,
        }
    }

    /// The median of what finished within the last interval; zero when nothing did.
    fn median(&self, interval: Duration) -> Duration {
        let since = self.clock.monotonic().saturating_sub(interval);
        let latencies = self.counts.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        let mut recent: Vec<_> = latencies
            .iter()
            .rev()
            .take_while(|(at, _)| *at >= since)
            .map(|(_, took)| *took)
            .collect();
        drop(latencies);
        recent.sort_unstable();
        recent.get(recent.len() / 2).copied().unwrap_or_default()
    }
}

impl Measured {
    /// Notes that the gateway or what is behind it failed.
    pub fn fail(&mut self) {
        self.failed = true;
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let counts = &self.meter.counts;
        counts.in_flight.fetch_sub(1, Ordering::Relaxed);
        counts.finished.fetch_add(1, Ordering::Relaxed);
        counts.failed.fetch_add(self.failed.into(), Ordering::Relaxed);
        let now = self.meter.clock.monotonic();
        let mut latencies = counts.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        if latencies.len() == LATENCIES_MAX {
            latencies.pop_front();
        }
        latencies.push_back((now, now.saturating_sub(self.begun)));
    }
}

/// The service.
#[derive(Debug, Clone)]
pub struct Fleet {
    instance: InstanceId,
    meter: Meter,
    readiness: Readiness,
    draining: Shutdown,
}

impl Fleet {
    /// Tells what the meter counts.
    pub fn new(instance: InstanceId, meter: Meter, readiness: Readiness, draining: Shutdown) -> Self {
        Self {
            instance,
            meter,
            readiness,
            draining,
        }
    }

    fn stats(&self, interval: Duration) -> WatchStatsResponse {
        let (counts, usage) = (&self.meter.counts, process::usage());
        WatchStatsResponse {
            instance: self.instance.to_string(),
            service: "gateway".to_owned(),
            draining: self.draining.is_triggered(),
            ready: self.readiness.is_ready(),
            in_flight: counts.in_flight.load(Ordering::Relaxed),
            finished_total: counts.finished.load(Ordering::Relaxed),
            failed_total: counts.failed.load(Ordering::Relaxed),
            latency_p50_us: u64::try_from(self.meter.median(interval).as_micros()).unwrap_or(u64::MAX),
            cpu_us: usage.cpu_us,
            resident_bytes: usage.resident_bytes,
            ..Default::default()
        }
    }
}

#[tonic::async_trait]
impl FleetService for Fleet {
    type WatchStatsStream = Pin<Box<dyn Stream<Item = Result<WatchStatsResponse, Status>> + Send>>;

    async fn watch_stats(
        &self,
        request: Request<WatchStatsRequest>,
    ) -> Result<Response<Self::WatchStatsStream>, Status> {
        let asked = request.into_inner().interval_ms;
        let asked = if asked == 0 { INTERVAL_DEFAULT_MS } else { asked };
        let interval = Duration::from_millis(asked.clamp(50, 60_000).into());
        let fleet = self.clone();
        let ended = self.draining.clone();
        let stats = futures::stream::unfold(tokio::time::interval(interval), move |mut ticks| {
            let fleet = fleet.clone();
            async move {
                ticks.tick().await;
                Some((Ok(fleet.stats(interval)), ticks))
            }
        });
        // A watcher must not hold up the drain.
        Ok(Response::new(
            stats.take_until(async move { ended.triggered().await }).boxed(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_are_counted_and_measured() {
        let meter = Meter::new(Clock::system());
        let mut failing = meter.begin();
        let running = meter.begin();
        failing.fail();
        drop(failing);
        let fleet = Fleet::new(InstanceId::new("gateway-1"), meter, Readiness::new(), Shutdown::new());
        let stats = fleet.stats(Duration::from_secs(60));
        assert_eq!((stats.in_flight, stats.finished_total, stats.failed_total), (1, 1, 1));
        drop(running);
        assert_eq!(fleet.stats(Duration::from_secs(60)).in_flight, 0);
        assert_eq!(fleet.meter.median(Duration::ZERO), Duration::ZERO);
    }
}
