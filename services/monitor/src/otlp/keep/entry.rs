//! One trace in memory.

use std::time::Duration;

use lepton_domain::time::Timestamp;
use lepton_proto::convert::time::timestamp;
use lepton_proto::monitor::v1::Trace;

use crate::otlp::arrival::{BLOCK_BYTES, Piece};

/// What a trace takes beside its spans: its places in three B-trees, whose nodes have eleven and are filled with five at
/// least, and a list that has four for its first span.
const TRACE_BYTES: usize = (size_of::<(u128, Entry)>() + size_of::<(u64, u128)>() + size_of::<(Duration, u128)>()) * 11
    / 5
    + 4 * size_of::<usize>()
    + BLOCK_BYTES;

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
    /// By their id: a batch that is sent twice counts once. In a list, as most traces have few, and one node of a map
    /// has room for eleven.
    #[expect(clippy::vec_box, reason = "one that comes late moves pointers, not spans")]
    pub spans: Vec<Box<Piece>>,
    /// Spans that did not fit.
    pub dropped: u32,
    pub failed: bool,
    /// The first beginning that is known, and the last end; not in this order before one is.
    start_us: u64,
    end_us: u64,
    /// At most.
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
            spans: Vec::new(),
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
        self.failed |= span.fails();
        if span.start_us > 0 {
            self.start_us = self.start_us.min(span.start_us);
            self.end_us = self.end_us.max(span.end_us);
        }
        let Err(place) = self.place(span.id) else {
            return true;
        };
        if self.spans.len() >= spans_max {
            self.dropped = self.dropped.saturating_add(1);
            return false;
        }
        if self.names(&span) {
            self.root = span.id;
        }
        self.bytes += span.bytes();
        self.spans.insert(place, Box::new(span));
        true
    }

    /// Where a span is, or would be.
    fn place(&self, id: u64) -> Result<usize, usize> {
        self.spans.binary_search_by_key(&id, |span| span.id)
    }

    /// The span that names the trace.
    fn root(&self) -> Option<&Piece> {
        self.place(self.root).ok().map(|at| &*self.spans[at])
    }

    /// Whether this span names the trace rather than the one so far: a root does, and else the first.
    fn names(&self, span: &Piece) -> bool {
        let rank = |span: &Piece| (span.parent != 0, span.start_us);
        self.root().is_none_or(|root| rank(span) < rank(root))
    }

    pub fn name(&self) -> &str {
        self.root().map_or("", |root| &root.name)
    }

    /// When it began, microseconds since 1970; 0 if no span says.
    pub fn start_us(&self) -> u64 {
        self.start_us.min(self.end_us)
    }

    /// How long it took, microseconds.
    pub fn duration_us(&self) -> u64 {
        self.end_us - self.start_us()
    }

    /// The trace without its spans.
    pub fn summary(&self, id: u128) -> Trace {
        Trace {
            trace_id: format!("{id:032x}"),
            start_time: Some(timestamp(Timestamp::from_micros(self.start_us()))),
            duration_us: self.duration_us(),
            name: self.name().to_owned(),
            failed: self.failed,
            span_count: u32::try_from(self.spans.len()).unwrap_or(u32::MAX),
            dropped_span_count: self.dropped,
            spans: Vec::new(),
        }
    }
}
