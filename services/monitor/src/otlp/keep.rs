//! Which traces stay: pure, with the time as an argument.
//!
//! Promises: memory stays within its limit, counted by an estimate that is not exceeded; a trace is judged when it has been quiet for a while,
//! and again when more of it comes; ordinary ones go before those that failed, were slow or are the sample, and always
//! the oldest first. Leaves what slow means to `slow`.
//!
//! What is notable has three quarters of the memory, and the rest is for what is ordinary or still arrives: after a long
//! outage, with memory full of failures, somebody who asks for the request that they just made still finds it, and a
//! flood of requests does not wash the failures away.

mod entry;
mod slow;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lepton_proto::monitor::v1::{Span, Trace};

use super::Filter;
use super::arrival::Arrival;
use crate::config;
use entry::{Class, Entry};
use slow::Slow;

/// A trace that never goes quiet is judged after this time all the same.
const PENDING_MAX: Duration = Duration::from_secs(30);

/// Traces in memory.
#[derive(Debug)]
pub(super) struct Keep {
    config: config::Traces,
    traces: BTreeMap<u128, Entry>,
    /// Traces of each class, the oldest first.
    ages: BTreeMap<Class, BTreeSet<(u64, u128)>>,
    /// Estimated bytes of each class.
    bytes: BTreeMap<Class, usize>,
    /// When each trace that was not judged yet will be.
    due: BTreeSet<(Duration, u128)>,
    slow: Slow,
    /// The number of the newest trace.
    newest: u64,
    counts: Counts,
}

/// What has happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Spans that did not fit into their trace.
    pub dropped_spans: u64,
    /// Traces that made room for others.
    pub evicted_traces: u64,
}

impl Keep {
    pub fn new(config: config::Traces) -> Self {
        Self {
            config,
            traces: BTreeMap::new(),
            ages: BTreeMap::new(),
            bytes: BTreeMap::new(),
            due: BTreeSet::new(),
            slow: Slow::default(),
            newest: 0,
            counts: Counts::default(),
        }
    }

    /// Takes spans in, judges what has gone quiet, and makes room.
    pub fn add(&mut self, arrivals: Vec<Arrival>, now: Duration) {
        for arrival in arrivals {
            self.join(arrival, now);
            // At each span, so that one large request does not exceed the limit either.
            self.make_room();
        }
        self.settle(now);
    }

    /// Judges what has gone quiet.
    pub fn settle(&mut self, now: Duration) {
        while let Some((_, id)) = self.due.first().copied().filter(|(due, _)| *due <= now) {
            let Some(mut entry) = self.take(id) else { return };
            // What was remarkable once stays so: a late span would only change what it is compared with.
            entry.notable |= self.is_notable(id, &entry);
            entry.class = if entry.notable { Class::Notable } else { Class::Ordinary };
            self.put(id, entry);
        }
        self.make_room();
    }

    /// The spans of a trace, and how many did not fit.
    pub fn spans(&self, id: u128) -> Option<(Vec<Span>, u32)> {
        let entry = self.traces.get(&id)?;
        Some((entry.spans.iter().map(|span| span.to_wire()).collect(), entry.dropped))
    }

    /// Summaries, the newest first.
    pub fn list(&self, filter: Filter) -> Vec<Trace> {
        let wanted = |entry: &Entry| (entry.failed || !filter.failed) && entry.duration_us() >= filter.duration_us_min;
        let mut found: Vec<(u64, u128)> = self
            .traces
            .iter()
            .filter(|(_, entry)| wanted(entry))
            .map(|(id, entry)| (entry.start_us(), *id))
            .collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.truncate(filter.limit);
        let summaries = found.iter().filter_map(|(_, id)| Some((id, self.traces.get(id)?)));
        summaries.map(|(id, entry)| entry.summary(*id)).collect()
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many traces there are, and their estimated bytes.
    pub fn size(&self) -> (usize, usize) {
        (self.traces.len(), self.bytes.values().sum())
    }

    /// Adds a span to its trace, which waits for more from now on.
    fn join(&mut self, arrival: Arrival, now: Duration) {
        let Arrival { trace, span } = arrival;
        let mut entry = self.take(trace).unwrap_or_else(|| {
            self.newest += 1;
            Entry::new(self.newest, now)
        });
        if entry.class != Class::Pending {
            entry.pending_since = now;
        }
        entry.class = Class::Pending;
        entry.due = (now + self.config.quiet).min(entry.pending_since + PENDING_MAX);
        if !entry.join(span, self.config.spans_max) {
            self.counts.dropped_spans += 1;
        }
        self.put(trace, entry);
    }

    fn is_notable(&mut self, id: u128, entry: &Entry) -> bool {
        let duration = Duration::from_micros(entry.duration_us());
        let slow = self.slow.judge(entry.name(), duration, self.config.slow_min);
        // By the id, so that every monitor takes the same ones. Its low half is random in every known tracer.
        let draw = (id as u64 >> 11) as f64 / (1_u64 << 53) as f64;
        entry.failed || slow || draw < self.config.sample
    }

    fn make_room(&mut self) {
        while self.size().1 > self.config.bytes_max {
            let Some(id) = self.victim() else { return };
            self.take(id);
            self.counts.evicted_traces += 1;
        }
    }

    /// Who goes next. Without ordinary ones, what is not notable is pending.
    fn victim(&self) -> Option<u128> {
        let oldest = |class| self.ages.get(&class)?.first().map(|(_, id)| *id);
        let notable = self.bytes.get(&Class::Notable).copied().unwrap_or(0);
        if notable > self.config.bytes_max / 4 * 3 {
            return oldest(Class::Notable);
        }
        oldest(Class::Ordinary).or_else(|| oldest(Class::Pending))
    }

    /// Takes a trace out of every index.
    fn take(&mut self, id: u128) -> Option<Entry> {
        let entry = self.traces.remove(&id)?;
        if let Some(ages) = self.ages.get_mut(&entry.class) {
            ages.remove(&(entry.number, id));
        }
        if let Some(bytes) = self.bytes.get_mut(&entry.class) {
            *bytes -= entry.bytes;
        }
        self.due.remove(&(entry.due, id));
        Some(entry)
    }

    /// Puts a trace into every index.
    fn put(&mut self, id: u128, entry: Entry) {
        self.ages.entry(entry.class).or_default().insert((entry.number, id));
        *self.bytes.entry(entry.class).or_default() += entry.bytes;
        if entry.class == Class::Pending {
            self.due.insert((entry.due, id));
        }
        self.traces.insert(id, entry);
    }
}
