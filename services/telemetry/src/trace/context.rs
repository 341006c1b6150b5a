//! The W3C trace context.
//!
//! Promises: what prints parses back. Leaves `tracestate` alone: the mesh has nothing to put into it.
//!
//! See <https://www.w3.org/TR/trace-context/#traceparent-header>.

use std::fmt;

use lepton_core::random::Random;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The trace and the span that something belongs to, and the head decision of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    sampled: bool,
}

impl TraceContext {
    /// Returns the first span of a new trace.
    pub(super) fn root(random: &Random, sampled: bool) -> Self {
        // Zero means absent in both ids.
        Self {
            trace: random.next_u128().max(1),
            span: random.next_u64().max(1),
            sampled,
        }
    }

    /// Returns a span below this one.
    pub(super) fn child(self, random: &Random) -> Self {
        Self {
            span: random.next_u64().max(1),
            ..self
        }
    }

    /// Returns another span of the same trace; none for zero, which is no id.
    pub fn with_span(self, span: u64) -> Option<Self> {
        (span != 0).then_some(Self { span, ..self })
    }

    /// Returns the same position in a trace that is not exported from here on.
    pub fn unsampled(self) -> Self {
        Self { sampled: false, ..self }
    }

    /// Parses a `traceparent` of any version whose beginning is that of version 00.
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.trim().split('-');
        let version = hex(parts.next()?, 2)?;
        let (trace, span) = (hex(parts.next()?, 32)?, hex(parts.next()?, 16)?);
        let flags = hex(parts.next()?, 2)?;
        let more = parts.next().is_some();
        // 255 is forbidden, and version 0 ends here.
        let valid = version != 255 && !(version == 0 && more) && trace != 0 && span != 0;
        valid.then_some(Self {
            trace,
            span: span as u64,
            sampled: flags & 1 == 1,
        })
    }

    /// Returns the trace's id, 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// Returns the span's id, 16 hexadecimal digits.
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// Returns true when the spans of this trace are exported.
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// Returns the ids as the SDK has them.
    pub(super) fn ids(&self) -> (TraceId, SpanId) {
        (TraceId::from(self.trace), SpanId::from(self.span))
    }

    /// Returns the context as the SDK has it, of a span in another process.
    pub(crate) fn remote(&self) -> SpanContext {
        let (trace, span) = self.ids();
        let flags = TraceFlags::default().with_sampled(self.sampled);
        SpanContext::new(trace, span, flags, true, TraceState::NONE)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(out, "00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span)
    }
}

/// Parses lower-case hexadecimal digits of exactly this many, as the standard wants them; `TraceId::from_hex` takes any number, a
/// sign and capitals.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let valid = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if valid {
        u128::from_str_radix(text, 16).ok()
    } else {
        None
    }
}
