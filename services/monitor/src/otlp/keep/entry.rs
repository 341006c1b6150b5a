//! One trace in memory.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::time::Duration;

use lepton_domain::time::Timestamp;
use lepton_proto::convert::time::timestamp;
use lepton_proto::monitor::v1::Trace;

use crate::otlp::arrival::Piece;

/// What a trace takes beside its spans.
const TRACE_BYTES: usize = 400;

/// What was made of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Nothing special.
    Ordinary,
    /// It failed, it was slow, or it is one of the sample.
    Notable,
    /// It is not judged yet: more of it may come.
    Pending,
}

/// One trace.
#[derive(Debug)]
pub(super) struct Entry {
    /// Traces are numbered as they begin to arrive.
    pub number: u64,
    pub class: Class,
    /// Whether it was found notable before.
    pub notable: bool,
    /// Since when it waits to be judged.
    pub pending_since: Duration,
    /// When it will be judged.
    pub due: Duration,
    /// By their id: a batch that is sent twice counts once.
    pub spans: BTreeMap<u64, Piece>,
    /// Spans that did not fit.
    pub dropped: u32,
    pub failed: bool,
    pub start_us: u64,
    pub end_us: u64,
    /// Estimated.
    pub bytes: usize,
    /// The span that names it.
    root: u64,
}

impl Entry {
    pub fn new(number: u64, now: Duration) -> Self {
        Self {
            number,
            class: Class::Pending,
            notable: false,
            pending_since: now,
            due: now,
            spans: BTreeMap::new(),
            dropped: 0,
            failed: false,
            start_us: u64::MAX,
            end_us: 0,
            bytes: TRACE_BYTES,
            root: 0,
        }
    }

    /// Takes a span in; whether it fits.
    pub fn join(&mut self, span: Piece, spans_max: usize) -> bool {
        // A failure counts even where there is no room for the span that tells of it.
        self.failed |= span.failed;
        self.start_us = self.start_us.min(span.start_us);
        self.end_us = self.end_us.max(span.end_us);
        let full = self.spans.len() >= spans_max;
        let names = self.names(&span);
        match self.spans.entry(span.id) {
            Place::Occupied(_) => true,
            Place::Vacant(_) if full => {
                self.dropped = self.dropped.saturating_add(1);
                false
            }
            Place::Vacant(place) => {
                if names {
                    self.root = span.id;
                }
                self.bytes += span.bytes();
                place.insert(span);
                true
            }
        }
    }

    /// Whether this span names the trace rather than the one so far: a root does, and else the first.
    fn names(&self, span: &Piece) -> bool {
        let rank = |span: &Piece| (span.parent != 0, span.start_us);
        self.spans.get(&self.root).is_none_or(|root| rank(span) < rank(root))
    }

    pub fn name(&self) -> &str {
        self.spans.get(&self.root).map_or("", |root| &root.name)
    }

    /// The trace without its spans.
    pub fn summary(&self, id: u128) -> Trace {
        Trace {
            trace_id: format!("{id:032x}"),
            start_time: Some(timestamp(Timestamp::from_micros(self.start_us))),
            duration_us: self.end_us - self.start_us,
            name: self.name().to_owned(),
            failed: self.failed,
            span_count: u32::try_from(self.spans.len()).unwrap_or(u32::MAX),
            dropped_span_count: self.dropped,
            spans: Vec::new(),
        }
    }
}
