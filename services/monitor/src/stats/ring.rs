//! Recent samples of one instance, and the rates that follow from them.
//!
//! Promises: never more samples than its size; a counter that decreased (a new process under an old id) clears the ring
//! instead of giving absurd rates. Leaves present values to the last report.

use std::collections::VecDeque;
use std::time::Duration;

use lepton_proto::fleet::v1::WatchStatsResponse;

#[cfg(test)]
mod tests;

/// Averaging window of rates: shorter ones fluctuate, longer ones lag.
const RATE_WINDOW: Duration = Duration::from_secs(5);

/// Counters of an instance at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    /// Time of receipt, on the monitor's monotonic clock.
    at: Duration,
    finished_total: u64,
    failed_total: u64,
    cpu_us: u64,
    latency_us: u64,
    latency_p99_us: u64,
    resident_bytes: u64,
    in_flight: u32,
    queued: u32,
}

/// Changes per second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Rates {
    /// Requests or attempts that ended, failed ones included.
    pub finished_per_s: f64,
    /// Failed ones among them.
    pub failed_per_s: f64,
    /// CPU time in percent of one core, of the whole process.
    pub cpu_percent: f64,
}

/// Load of an instance between two samples, for a curve.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Point {
    /// Changes per second.
    pub rates: Rates,
    /// Median latency in that time, microseconds; 0 when nothing finished.
    pub latency_us: u64,
    /// 99th percentile of the latency in that time, microseconds; 0 when nothing finished.
    pub latency_p99_us: u64,
    /// Resident memory at the end of it, bytes.
    pub resident_bytes: u64,
    /// Requests or attempts in progress at the end of it.
    pub in_flight: u32,
    /// Requests or tasks that waited at the end of it.
    pub queued: u32,
}

/// Ring of samples, the oldest first.
#[derive(Debug)]
pub(crate) struct SampleRing {
    samples: VecDeque<Sample>,
    size: usize,
}

impl SampleRing {
    /// Empty, for `size` samples.
    pub fn new(size: usize) -> Self {
        // Grown as needed: most instances of a short-lived mesh never fill it.
        Self {
            samples: VecDeque::new(),
            size: size.max(2),
        }
    }

    /// Adds the sample of a report that arrived at `at`.
    pub fn push(&mut self, at: Duration, stats: &WatchStatsResponse) {
        let sample = Sample {
            at,
            finished_total: stats.finished_total,
            failed_total: stats.failed_total,
            cpu_us: stats.cpu_us,
            latency_us: stats.latency_p50_us,
            latency_p99_us: stats.latency_p99_us,
            resident_bytes: stats.resident_bytes,
            in_flight: stats.in_flight,
            queued: stats.queued,
        };
        if self.samples.back().is_some_and(|last| sample.is_before(last)) {
            self.samples.clear();
        }
        while self.samples.len() >= self.size {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// Rates over [`RATE_WINDOW`]; zero with fewer than two samples.
    pub fn rates(&self) -> Rates {
        let Some(last) = self.samples.back() else {
            return Rates::default();
        };
        let start = last.at.saturating_sub(RATE_WINDOW);
        // One sample from before the window, so that a slow sender has a rate as well.
        let inside = self.samples.partition_point(|sample| sample.at <= start);
        let first = self.samples[inside.saturating_sub(1)];
        last.rates_since(&first)
    }

    /// Loads between neighbouring samples, the last `count` of them, the oldest first.
    pub fn recent(&self, count: usize) -> Vec<Point> {
        let skipped = self.samples.len().saturating_sub(count + 1);
        let pairs = self
            .samples
            .iter()
            .skip(skipped)
            .zip(self.samples.iter().skip(skipped + 1));
        pairs
            .map(|(earlier, later)| Point {
                rates: later.rates_since(earlier),
                latency_us: later.latency_us,
                latency_p99_us: later.latency_p99_us,
                resident_bytes: later.resident_bytes,
                in_flight: later.in_flight,
                queued: later.queued,
            })
            .collect()
    }
}

impl Sample {
    /// Reports whether a counter is lower than before.
    fn is_before(&self, last: &Self) -> bool {
        self.finished_total < last.finished_total || self.failed_total < last.failed_total || self.cpu_us < last.cpu_us
    }

    fn rates_since(&self, earlier: &Self) -> Rates {
        let seconds = self.at.saturating_sub(earlier.at).as_secs_f64();
        if seconds <= 0.0 {
            return Rates::default();
        }
        let per_s = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        Rates {
            finished_per_s: per_s(self.finished_total, earlier.finished_total),
            failed_per_s: per_s(self.failed_total, earlier.failed_total),
            // Microseconds per second are millionths of a core.
            cpu_percent: per_s(self.cpu_us, earlier.cpu_us) / 10_000.0,
        }
    }
}
