//! One trace in memory.

use std::time::Duration;

use lepton_domain::time::Timestamp;
use lepton_proto::convert::time::timestamp;
use lepton_proto::monitor::v1::Trace;

use crate::otlp::span::{BLOCK_BYTES, StoredSpan};

/// Fixed memory of a trace: its entries in three B-trees, whose nodes have eleven slots and are filled with five at
/// least, and a list with four slots for its first span.
const TRACE_BYTES: usize =
    (size_of::<(u128, StoredTrace)>() + size_of::<(u64, u128)>() + size_of::<(Duration, u128)>()) * 11 / 5
        + 4 * size_of::<usize>()
        + BLOCK_BYTES;

/// Retention class of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Retention {
    /// Evicted first.
    Ordinary,
    /// Failed, slow or sampled: three quarters of the memory are for these.
    Notable,
    /// Not judged yet, as spans may still arrive.
    Pending,
}

/// Trace in memory.
#[derive(Debug)]
pub(super) struct StoredTrace {
    /// Number in the order of arrival.
    pub number: u64,
    pub retention: Retention,
    /// Set if it was judged notable before.
    pub notable: bool,
    /// Start of the wait for its judgement.
    pub pending_since: Duration,
    /// Time of the next judgement.
    pub due: Duration,
    /// Spans by id: a batch that is sent twice counts once. A list, as most traces have few spans and one node of a map
    /// has room for eleven.
    #[expect(clippy::vec_box, reason = "one that comes late moves pointers, not spans")]
    pub spans: Vec<Box<StoredSpan>>,
    /// Spans beyond the limit.
    pub dropped: u32,
    pub failed: bool,
    /// Earliest start and latest end; in the wrong order before there is one.
    start_us: u64,
    end_us: u64,
    /// Upper bound of its memory.
    pub bytes: usize,
    /// Id of the span that names the trace.
    root: u64,
}

impl StoredTrace {
    pub fn new(number: u64, now: Duration) -> Self {
        Self {
            number,
            retention: Retention::Pending,
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

    /// Adds a span; returns false if it is beyond `spans_max`.
    pub fn add(&mut self, span: StoredSpan, spans_max: usize) -> bool {
        // A failure counts even where there is no room for its span.
        self.failed |= span.fails_trace();
        if span.start_us > 0 {
            self.start_us = self.start_us.min(span.start_us);
            self.end_us = self.end_us.max(span.end_us);
        }
        let Err(position) = self.position(span.id) else {
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
        self.spans.insert(position, Box::new(span));
        true
    }

    /// Index of a span, or of its insertion.
    fn position(&self, id: u64) -> Result<usize, usize> {
        self.spans.binary_search_by_key(&id, |span| span.id)
    }

    /// Span that names the trace.
    fn root(&self) -> Option<&StoredSpan> {
        self.position(self.root).ok().map(|at| &*self.spans[at])
    }

    /// Reports whether this span names the trace rather than the current one: a root does, and otherwise the first.
    fn names(&self, span: &StoredSpan) -> bool {
        let rank = |span: &StoredSpan| (span.parent != 0, span.start_us);
        self.root().is_none_or(|root| rank(span) < rank(root))
    }

    pub fn name(&self) -> &str {
        self.root().map_or("", |root| &root.name)
    }

    /// Start, microseconds since 1970; 0 if no span has one.
    pub fn start_us(&self) -> u64 {
        self.start_us.min(self.end_us)
    }

    /// Duration, microseconds.
    pub fn duration_us(&self) -> u64 {
        self.end_us - self.start_us()
    }

    /// Trace of the contract, without its spans.
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
