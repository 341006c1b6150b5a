//! Statistics of this gateway's requests, for the monitor.
//!
//! Promises: counting costs a request a few atomics. Leaves the stream to [`lepton_mesh::stats_service`] and metrics to
//! [`lepton_mesh::server`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use lepton_core::clock::Clock;
use lepton_domain::ids::InstanceId;
use lepton_mesh::server::health::Readiness;
use lepton_mesh::stats_service::StatsSource;
use lepton_mesh::stats_service::latency::{Latencies, Seen};
use lepton_proto::fleet::v1::WatchStatsResponse;

/// Counts requests. Clones share the counts.
#[derive(Debug, Clone)]
pub struct RequestStats {
    counts: Arc<Counts>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Counts {
    in_flight: AtomicU32,
    finished: AtomicU64,
    failed: AtomicU64,
    latencies: Latencies,
}

/// A request that is being answered. One whose handler panics has failed; one that its caller gave up has not.
#[derive(Debug)]
pub struct InFlight {
    requests: RequestStats,
    begun: Duration,
    failed: bool,
}

impl RequestStats {
    /// Statistics without a request yet.
    pub fn new(clock: Clock) -> Self {
        Self {
            counts: Arc::default(),
            clock,
        }
    }

    /// Counts a request as begun; it counts as finished when the result is dropped.
    pub fn begin(&self) -> InFlight {
        self.counts.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight {
            requests: self.clone(),
            begun: self.clock.monotonic(),
            failed: false,
        }
    }
}

impl InFlight {
    /// Counts it as failed, by the gateway or what is behind it.
    pub fn fail(&mut self) {
        self.failed = true;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let counts = &self.requests.counts;
        counts.in_flight.fetch_sub(1, Ordering::Relaxed);
        counts.finished.fetch_add(1, Ordering::Relaxed);
        let failed = self.failed || std::thread::panicking();
        counts.failed.fetch_add(failed.into(), Ordering::Relaxed);
        let took = self.requests.clock.monotonic().saturating_sub(self.begun);
        counts.latencies.add(took);
    }
}

/// The source of this gateway's stream of statistics.
#[derive(Debug, Clone)]
pub struct GatewayStats {
    /// Its id.
    pub instance: InstanceId,
    /// Its requests.
    pub requests: RequestStats,
    /// Readiness for requests.
    pub readiness: Readiness,
}

impl StatsSource for GatewayStats {
    type Cursor = Seen;

    fn snapshot(&self, seen: &mut Seen) -> WatchStatsResponse {
        let counts = &self.requests.counts;
        let latency = counts.latencies.look(seen);
        WatchStatsResponse {
            instance: self.instance.to_string(),
            service: "gateway".to_owned(),
            ready: self.readiness.is_ready(),
            in_flight: counts.in_flight.load(Ordering::Relaxed),
            finished_total: counts.finished.load(Ordering::Relaxed),
            failed_total: counts.failed.load(Ordering::Relaxed),
            latency_p50_us: latency.p50_us,
            latency_p99_us: latency.p99_us,
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_and_measured() {
        let requests = RequestStats::new(Clock::system());
        let own = GatewayStats {
            instance: InstanceId::new("gateway-1"),
            requests: requests.clone(),
            readiness: Readiness::new(),
        };
        let mut seen = Seen::default();
        assert_eq!(own.snapshot(&mut seen), own.snapshot(&mut seen));
        let (mut failing, running) = (requests.begin(), requests.begin());
        failing.fail();
        std::thread::sleep(Duration::from_micros(10));
        drop(failing);
        let stats = own.snapshot(&mut seen);
        assert_eq!((stats.in_flight, stats.finished_total, stats.failed_total), (1, 1, 1));
        assert!(stats.latency_p50_us >= 10, "{stats:?}");
        assert_eq!(stats.latency_p99_us, stats.latency_p50_us, "there was one");
        drop(running);
        assert_eq!(own.snapshot(&mut seen).in_flight, 0);
    }
}
