//! What this gateway tells of its own load.
//!
//! Promises: counting costs a request a few atomics. Leaves the stream to `mesh::fleet` and metrics to `mesh::server`.

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
pub struct Meter {
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
        let took = self.meter.clock.monotonic().saturating_sub(self.begun);
        counts.latencies.add(took);
    }
}

/// This gateway, as it tells of itself.
#[derive(Debug, Clone)]
pub struct Own {
    /// Its id.
    pub instance: InstanceId,
    /// Its requests.
    pub meter: Meter,
    /// Whether a request would succeed.
    pub readiness: Readiness,
}

impl StatsSource for Own {
    type Cursor = Seen;

    fn snapshot(&self, seen: &mut Seen) -> WatchStatsResponse {
        let counts = &self.meter.counts;
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
        let meter = Meter::new(Clock::system());
        let own = Own {
            instance: InstanceId::new("gateway-1"),
            meter: meter.clone(),
            readiness: Readiness::new(),
        };
        let mut seen = Seen::default();
        assert_eq!(own.snapshot(&mut seen), own.snapshot(&mut seen));
        let (mut failing, running) = (meter.begin(), meter.begin());
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
