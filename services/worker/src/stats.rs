//! Load of the worker: counters of its attempts and calls.
//!
//! Promises: counting takes no lock; every watcher gets the median of its own intervals. Leaves decisions by load to
//! pickers and to the monitor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use lepton_core::clock::Clock;
use lepton_core::metrics::{Counters, Histograms, Metrics, SECONDS, own};
use lepton_domain::reason::{ApiError, Code};
use lepton_mesh::stats_service::latency::Latencies;

pub mod fleet;
#[cfg(test)]
mod tests;

/// Outcome of an attempt or call, as metrics count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// A result.
    Success,
    /// An error of the caller's: answered, and no failure of the worker.
    Refused,
    /// No result.
    Failed,
}

impl RunOutcome {
    /// Classifies a result.
    pub(crate) fn classify<T>(result: &Result<T, ApiError>) -> Self {
        match result {
            Ok(_) => Self::Success,
            Err(error) if matches!(error.code(), Code::InvalidArgument | Code::Cancelled) => Self::Refused,
            Err(_) => Self::Failed,
        }
    }

    /// Value of the label `outcome`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Counters of one worker. Clones share them.
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

/// Load at one moment, read from [`Stats`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadSnapshot {
    /// Attempts and calls in progress.
    pub in_flight: u32,
    /// Attempts and calls that wait for room.
    pub queued: u32,
    /// Attempts that the worker runs at once.
    pub slots: u32,
    /// Attempts and calls that ended since the start.
    pub finished_total: u64,
    /// Failures among [`LoadSnapshot::finished_total`].
    pub failed_total: u64,
}

impl Stats {
    /// Counters at zero, of a worker with this many slots.
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

    /// Returns the load now.
    pub fn load(&self) -> LoadSnapshot {
        let Shared {
            slots,
            in_flight,
            queued,
            finished,
            failed,
            ..
        } = &*self.shared;
        // Relaxed: each counter is right by itself; they need not be of the same instant.
        LoadSnapshot {
            in_flight: in_flight.load(Ordering::Relaxed),
            queued: queued.load(Ordering::Relaxed),
            slots: *slots,
            finished_total: finished.load(Ordering::Relaxed),
            failed_total: failed.load(Ordering::Relaxed),
        }
    }

    /// Counts an attempt or call as waiting.
    pub(crate) fn enqueue(&self) -> QueuedRun {
        self.shared.queued.fetch_add(1, Ordering::Relaxed);
        QueuedRun { stats: self.clone() }
    }
}

/// An attempt or call that waits, counted in [`Stats`] until this is dropped.
#[derive(Debug)]
pub struct QueuedRun {
    stats: Stats,
}

impl QueuedRun {
    /// Counts it as running.
    pub(crate) fn start(self, clock: Clock) -> ActiveRun {
        self.stats.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        ActiveRun {
            stats: self.stats.clone(),
            clock,
            since: clock.monotonic(),
        }
    }
}

impl Drop for QueuedRun {
    fn drop(&mut self) {
        self.stats.shared.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An attempt or call that runs, counted until this is dropped; one that is stopped ends without an outcome.
#[derive(Debug)]
pub struct ActiveRun {
    stats: Stats,
    clock: Clock,
    since: Duration,
}

impl ActiveRun {
    /// Counts its end under the kind's name.
    pub(crate) fn finish(self, kind: &str, outcome: RunOutcome) {
        let shared = &self.stats.shared;
        let took = self.clock.monotonic().saturating_sub(self.since);
        shared.finished.fetch_add(1, Ordering::Relaxed);
        if outcome == RunOutcome::Failed {
            shared.failed.fetch_add(1, Ordering::Relaxed);
        }
        shared.latencies.add(took);
        shared
            .runs
            .get_or_create_owned(&own(&[("kind", kind), ("outcome", outcome.as_str())]))
            .inc();
        shared
            .seconds
            .get_or_create_owned(&own(&[("kind", kind)]))
            .observe(took.as_secs_f64());
    }
}

impl Drop for ActiveRun {
    fn drop(&mut self) {
        self.stats.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
