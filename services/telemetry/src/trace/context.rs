//! The W3C trace context.
//!
//! Promises: what prints parses back. Leaves `tracestate` alone: the mesh has nothing to say in it.

use std::fmt;

use lepton_core::random::Random;

/// Which trace and span something belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    sampled: bool,
}

impl TraceContext {
    /// The first span of a new trace.
    pub(super) fn root(random: &Random, sampled: bool) -> Self {
        // Zero means absent in both ids.
        Self {
            trace: random.next_u128().max(1),
            span: random.next_u64().max(1),
            sampled,
        }
    }

    /// A span below this one.
    pub(super) fn child(self, random: &Random) -> Self {
        Self {
            span: random.next_u64().max(1),
            ..self
        }
    }

    /// This span, moved below a parent of another trace.
    pub(super) fn below(self, parent: Self) -> Self {
        Self {
            span: self.span,
            ..parent
        }
    }

    /// Another span of the same trace; none for zero, which is no id.
    pub fn with_span(self, span: u64) -> Option<Self> {
        (span != 0).then_some(Self { span, ..self })
    }

    /// Reads a `traceparent` of any version whose beginning is that of version 00.
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

    /// 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// 16 hexadecimal digits.
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// Whether the spans of this trace are exported.
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The trace's id as OTLP sends it.
    pub(super) fn trace_bytes(&self) -> Vec<u8> {
        self.trace.to_be_bytes().to_vec()
    }

    /// The span's id as OTLP sends it.
    pub(super) fn span_bytes(&self) -> Vec<u8> {
        self.span.to_be_bytes().to_vec()
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace,
            self.span,
            u8::from(self.sampled)
        )
    }
}

/// Lower-case hexadecimal digits of exactly this many, as the standard wants them.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let valid = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if valid {
        u128::from_str_radix(text, 16).ok()
    } else {
        None
    }
}
