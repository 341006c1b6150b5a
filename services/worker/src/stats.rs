//! What the worker tells of its load.
//!
//! Promises: counting takes no lock; every watcher gets the median of its own intervals. Leaves what to make of it to
//! pickers and to the monitor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use lepton_core::clock::Clock;
use lepton_core::metrics::{Counters, Histograms, Metrics, SECONDS, own};
use lepton_domain::reason::{Code, Fault};
use lepton_mesh::stats_service::latency::Latencies;

pub mod fleet;
#[cfg(test)]
mod tests;

/// How something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// With what was asked for.
    Well,
    /// The caller's fault: answered, but not with figures.
    Refused,
    /// Without it.
    Badly,
}

impl Done {
    /// How an answer ended.
    pub fn of<T>(answer: &Result<T, Fault>) -> Self {
        match answer {
            Ok(_) => Self::Well,
            Err(fault) if matches!(fault.code(), Code::InvalidArgument | Code::Cancelled) => Self::Refused,
            Err(_) => Self::Badly,
        }
    }

    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Refused => "refused",
            Self::Badly => "failed",
        }
    }
}

/// The figures of one worker. Clones share them.
#[derive(Debug, Clone)]
pub struct Stats {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    slots: u32,
    in_flight: AtomicU32,
    queued: AtomicU32,
    finished: AtomicU64,
    failed: AtomicU64,
    latencies: Latencies,
    runs: Counters,
    seconds: Histograms,
}

/// The load at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Attempts and calls in progress.
    pub in_flight: u32,
    /// Attempts and calls that wait for room.
    pub queued: u32,
    /// How many it takes at once.
    pub slots: u32,
    /// Ended since the start.
    pub finished_total: u64,
    /// Of those, failed.
    pub failed_total: u64,
}

impl Stats {
    /// Nothing yet, of a worker with so many slots.
    pub fn new(slots: u32, metrics: &Metrics) -> Self {
        metrics
            .gauge("lepton_worker_slots", "Attempts that run at once", &[])
            .set(slots.into());
        let shared = Shared {
            slots,
            in_flight: AtomicU32::new(0),
            queued: AtomicU32::new(0),
            finished: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            latencies: Latencies::default(),
            runs: metrics.counters(
                "lepton_worker_runs_total",
                "Attempts and online calls that ended, by outcome",
            ),
            seconds: metrics.histograms("lepton_worker_run_seconds", "How long they ran, by kind", SECONDS),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The load now.
    pub fn load(&self) -> Load {
        let Shared {
            slots,
            in_flight,
            queued,
            finished,
            failed,
            ..
        } = &*self.shared;
        // Relaxed: each figure is right by itself; they need not be of the same instant.
        Load {
            in_flight: in_flight.load(Ordering::Relaxed),
            queued: queued.load(Ordering::Relaxed),
            slots: *slots,
            finished_total: finished.load(Ordering::Relaxed),
            failed_total: failed.load(Ordering::Relaxed),
        }
    }

    /// Something waits for room.
    pub fn waits(&self) -> Waiting {
        self.shared.queued.fetch_add(1, Ordering::Relaxed);
        Waiting { stats: self.clone() }
    }
}

/// Something that waits, counted until it is dropped.
#[derive(Debug)]
pub struct Waiting {
    stats: Stats,
}

impl Waiting {
    /// It has got room.
    pub fn runs(self, clock: Clock) -> Running {
        self.stats.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        Running {
            stats: self.stats.clone(),
            clock,
            since: clock.monotonic(),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.stats.shared.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Something that runs, counted until it is dropped; one that was told to stop ends without a figure.
#[derive(Debug)]
pub struct Running {
    stats: Stats,
    clock: Clock,
    since: Duration,
}

impl Running {
    /// It has ended.
    pub fn ended(self, kind: &str, done: Done) {
        let shared = &self.stats.shared;
        let took = self.clock.monotonic().saturating_sub(self.since);
        shared.finished.fetch_add(1, Ordering::Relaxed);
        if done == Done::Badly {
            shared.failed.fetch_add(1, Ordering::Relaxed);
        }
        shared.latencies.add(took);
        shared
            .runs
            .get_or_create_owned(&own(&[("kind", kind), ("outcome", done.as_str())]))
            .inc();
        shared
            .seconds
            .get_or_create_owned(&own(&[("kind", kind)]))
            .observe(took.as_secs_f64());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stats.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
