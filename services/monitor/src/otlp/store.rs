//! Retention of traces: pure, with the time as an argument.
//!
//! Promises: memory stays within its limit, counted by an upper bound; a trace is judged after a quiet time, and again
//! when more of it arrives; ordinary traces are evicted before failed, slow and sampled ones, and always the oldest
//! first. Leaves the definition of slow to [`latency_threshold`].
//!
//! Notable traces get three quarters of the memory; the rest is for ordinary and pending ones. So after a long outage,
//! with memory full of failures, the trace of the request just made is still found, and a flood of requests does not
//! evict the failures.

mod latency_threshold;
mod stored_trace;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lepton_proto::convert::trace::{self, TraceKey};
use lepton_proto::monitor::v1::{ListTracesRequest, Span, Trace};
use lepton_proto::page::{Page, PageRequest};

use super::span::ReceivedSpan;
use crate::config;
use latency_threshold::LatencyThreshold;
use stored_trace::{Retention, StoredTrace};

/// Time after which a trace is judged even if spans still arrive.
const PENDING_MAX: Duration = Duration::from_secs(30);

/// Traces in memory, with an index for eviction and one for judgement.
#[derive(Debug)]
pub(super) struct TraceStore {
    config: config::Traces,
    traces: BTreeMap<u128, StoredTrace>,
    /// Traces of each [`Retention`], the oldest first.
    by_age: BTreeMap<Retention, BTreeSet<(u64, u128)>>,
    /// Estimated bytes of each [`Retention`].
    bytes: BTreeMap<Retention, usize>,
    /// Time at which each pending trace is judged.
    due: BTreeSet<(Duration, u128)>,
    thresholds: LatencyThreshold,
    /// Number of the newest trace.
    newest: u64,
    counts: Counts,
}

/// Totals since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Spans beyond the limit of their trace.
    pub dropped_spans: u64,
    /// Traces evicted for newer ones.
    pub evicted_traces: u64,
}

impl TraceStore {
    pub fn new(config: config::Traces) -> Self {
        Self {
            config,
            traces: BTreeMap::new(),
            by_age: BTreeMap::new(),
            bytes: BTreeMap::new(),
            due: BTreeSet::new(),
            thresholds: LatencyThreshold::default(),
            newest: 0,
            counts: Counts::default(),
        }
    }

    /// Stores spans, judges quiet traces, and evicts beyond the limit.
    pub fn add(&mut self, spans: Vec<ReceivedSpan>, now: Duration) {
        for received in spans {
            self.add_span(received, now);
            // At each span, so that one large request does not exceed the limit either.
            self.evict();
        }
        self.judge_quiet(now);
    }

    /// Judges the traces that are due.
    pub fn judge_quiet(&mut self, now: Duration) {
        while let Some((_, id)) = self.due.first().copied().filter(|(due, _)| *due <= now) {
            let Some(mut entry) = self.remove(id) else { return };
            // What was remarkable once stays so: a late span would only change what it is compared with.
            entry.notable |= self.is_notable(id, &entry);
            entry.retention = if entry.notable {
                Retention::Notable
            } else {
                Retention::Ordinary
            };
            self.insert(id, entry);
        }
        self.evict();
    }

    /// Returns the spans of a trace, and the number of dropped ones.
    pub fn spans(&self, id: u128) -> Option<(Vec<Span>, u32)> {
        let entry = self.traces.get(&id)?;
        Some((entry.spans.iter().map(|span| span.to_wire()).collect(), entry.dropped))
    }

    /// Returns a page of summaries, the newest first.
    pub fn list(&self, request: &ListTracesRequest, page: &PageRequest<TraceKey>) -> Page<Trace> {
        let matches =
            |entry: &StoredTrace| (entry.failed || !request.failed) && entry.duration_us() >= request.duration_us_min;
        let mut keys: Vec<TraceKey> = self
            .traces
            .iter()
            .filter(|(_, entry)| matches(entry))
            .map(|(id, entry)| trace::key_at(entry.start_us(), *id))
            .filter(|key| page.includes(key))
            .collect();
        keys.sort_unstable();
        let page = page.cut(keys, |key| *key);
        page.map(|Reverse((_, id))| self.traces[&id].summary(id))
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Number of traces, and their estimated bytes.
    pub fn size(&self) -> (usize, usize) {
        (self.traces.len(), self.bytes.values().sum())
    }

    /// Adds a span to its trace, which is pending from now on.
    fn add_span(&mut self, received: ReceivedSpan, now: Duration) {
        let ReceivedSpan { trace, span } = received;
        let mut entry = self.remove(trace).unwrap_or_else(|| {
            self.newest += 1;
            StoredTrace::new(self.newest, now)
        });
        if entry.retention != Retention::Pending {
            entry.pending_since = now;
        }
        entry.retention = Retention::Pending;
        entry.due = (now + self.config.quiet).min(entry.pending_since + PENDING_MAX);
        if !entry.add(span, self.config.spans_max) {
            self.counts.dropped_spans += 1;
        }
        self.insert(trace, entry);
    }

    fn is_notable(&mut self, id: u128, entry: &StoredTrace) -> bool {
        let duration = Duration::from_micros(entry.duration_us());
        let slow = self.thresholds.is_slow(entry.name(), duration, self.config.slow_min);
        // By the id, so that every monitor takes the same ones. Its low half is random in every known tracer.
        let draw = (id as u64 >> 11) as f64 / (1_u64 << 53) as f64;
        entry.failed || slow || draw < self.config.sample
    }

    fn evict(&mut self) {
        while self.size().1 > self.config.bytes_max {
            let Some(id) = self.eviction_candidate() else { return };
            self.remove(id);
            self.counts.evicted_traces += 1;
        }
    }

    /// Next trace to evict. Without ordinary ones, traces that are not notable are pending.
    fn eviction_candidate(&self) -> Option<u128> {
        let oldest = |retention| self.by_age.get(&retention)?.first().map(|(_, id)| *id);
        let notable = self.bytes.get(&Retention::Notable).copied().unwrap_or(0);
        if notable > self.config.bytes_max / 4 * 3 {
            return oldest(Retention::Notable);
        }
        oldest(Retention::Ordinary).or_else(|| oldest(Retention::Pending))
    }

    /// Removes a trace from every index.
    fn remove(&mut self, id: u128) -> Option<StoredTrace> {
        let entry = self.traces.remove(&id)?;
        if let Some(by_age) = self.by_age.get_mut(&entry.retention) {
            by_age.remove(&(entry.number, id));
        }
        if let Some(bytes) = self.bytes.get_mut(&entry.retention) {
            *bytes -= entry.bytes;
        }
        self.due.remove(&(entry.due, id));
        Some(entry)
    }

    /// Adds a trace to every index.
    fn insert(&mut self, id: u128, entry: StoredTrace) {
        self.by_age
            .entry(entry.retention)
            .or_default()
            .insert((entry.number, id));
        *self.bytes.entry(entry.retention).or_default() += entry.bytes;
        if entry.retention == Retention::Pending {
            self.due.insert((entry.due, id));
        }
        self.traces.insert(id, entry);
    }
}
