//! Ids of the SDK's spans.
//!
//! Promises: a span has the id that its context got before it was made, so that requests which are not exported have
//! ids as well, and an attempt's can be derived by whoever links to it. Leaves the choice of ids to `layer`.

use lepton_core::random::Random;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::IdGenerator;

use super::layer;

/// Generates the ids of the span that the current thread starts.
#[derive(Debug)]
pub(crate) struct Ids(pub(crate) Random);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        layer::next().map_or_else(|| self.0.next_u128().max(1).into(), |next| next.ids().0)
    }

    fn new_span_id(&self) -> SpanId {
        layer::next().map_or_else(|| self.0.next_u64().max(1).into(), |next| next.ids().1)
    }
}
