//! A span in memory: smaller than OTLP's, and bounded.
//!
//! Promises: no part of it exceeds its limit, whatever was received. Leaves decoding to [`super::decode`].

use std::borrow::Cow;

use lepton_domain::text::cut_with;
use lepton_domain::time::Timestamp;
use lepton_proto::convert::time::timestamp;
use lepton_proto::convert::trace::decides;
use lepton_proto::monitor::v1::{Span, SpanKind, SpanLink};

/// Attributes of a span; further ones are dropped.
const ATTRIBUTES_MAX: usize = 64;
/// Links of a span; further ones are dropped.
const LINKS_MAX: usize = 16;
/// Most bytes of a name, of an attribute's key, and of a sender's name; longer ones are truncated.
const NAME_BYTES_MAX: usize = 256;
/// Most bytes of an attribute's value and of a message; longer ones are truncated.
const VALUE_BYTES_MAX: usize = 2_048;
/// Allocator overhead of each block: sizes are rounded up to 16 bytes, 8 of them are the allocator's, and 32 is the
/// least.
pub(super) const BLOCK_BYTES: usize = 32;
/// Fixed memory of a span: itself, and its slot in a list that may be half empty.
const SPAN_BYTES: usize = size_of::<StoredSpan>() + BLOCK_BYTES + 2 * size_of::<usize>();

/// [`StoredSpan`] with the id of its trace.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ReceivedSpan {
    /// Trace id; never 0.
    pub trace: u128,
    /// The span.
    pub span: StoredSpan,
}

/// Span in memory: smaller than OTLP's, and bounded.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct StoredSpan {
    /// Span id; never 0.
    pub id: u64,
    /// Parent's span id; 0 for none.
    pub parent: u64,
    /// Operation.
    pub name: String,
    /// [Span kind](https://opentelemetry.io/docs/specs/otel/trace/api/#spankind).
    pub kind: SpanKind,
    /// Service that created it.
    pub service: String,
    /// Instance that created it.
    pub instance: String,
    /// Start, microseconds since 1970; 0 if unknown.
    pub start_us: u64,
    /// End, microseconds since 1970, not before the start.
    pub end_us: u64,
    /// Set if its status is an error.
    pub failed: bool,
    /// Message of its status.
    pub message: String,
    /// Attributes, by key.
    pub attributes: Vec<(String, String)>,
    /// Linked traces and spans.
    pub links: Vec<(u128, u64)>,
}

impl StoredSpan {
    /// Truncates everything to its limit, and frees the capacity beyond.
    pub fn truncated(mut self) -> Self {
        for name in [&mut self.name, &mut self.service, &mut self.instance] {
            truncate(name, NAME_BYTES_MAX);
        }
        truncate(&mut self.message, VALUE_BYTES_MAX);
        self.links.truncate(LINKS_MAX);
        self.links.shrink_to_fit();
        self.attributes.truncate(ATTRIBUTES_MAX);
        self.attributes.shrink_to_fit();
        for (key, value) in &mut self.attributes {
            truncate(key, NAME_BYTES_MAX);
            truncate(value, VALUE_BYTES_MAX);
        }
        if self.start_us == 0 {
            self.start_us = self.end_us;
        }
        self.end_us = self.end_us.max(self.start_us);
        self
    }

    /// Upper bound of its memory, in bytes.
    pub fn bytes(&self) -> usize {
        let text = |text: &String| text.len() + BLOCK_BYTES;
        let texts: usize = [&self.name, &self.service, &self.instance, &self.message]
            .map(text)
            .iter()
            .sum();
        let attribute = |(key, value): &(String, String)| size_of::<(String, String)>() + text(key) + text(value);
        let attributes: usize = self.attributes.iter().map(attribute).sum();
        let links = self.links.len() * size_of::<(u128, u64)>();
        SPAN_BYTES + texts + attributes + links + 2 * BLOCK_BYTES
    }

    /// Reports whether its failure is one of the trace, by [`decides`].
    pub fn fails_trace(&self) -> bool {
        self.failed && decides(self.kind, self.parent != 0)
    }

    /// Span of the contract. [`lepton_proto::convert::trace::assemble`] fills in its offset.
    pub fn to_wire(&self) -> Span {
        let links = self.links.iter().map(|(trace, span)| SpanLink {
            trace_id: format!("{trace:032x}"),
            span_id: format!("{span:016x}"),
        });
        Span {
            span_id: format!("{:016x}", self.id),
            parent_span_id: match self.parent {
                0 => String::new(),
                parent => format!("{parent:016x}"),
            },
            name: self.name.clone(),
            kind: self.kind.into(),
            service: self.service.clone(),
            instance: self.instance.clone(),
            start_time: Some(timestamp(Timestamp::from_micros(self.start_us))),
            offset_us: 0,
            duration_us: self.end_us - self.start_us,
            failed: self.failed,
            message: self.message.clone(),
            attributes: self.attributes.iter().cloned().collect(),
            links: links.collect(),
        }
    }
}

/// Parses a trace id of 32 hexadecimal digits.
pub(super) fn trace_id(text: &str) -> Option<u128> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u128::from_str_radix(text, 16).ok().filter(|id| digits && *id != 0)
}

/// Truncates a sender's name, of which each span gets a copy.
pub(super) fn truncate_name(name: &mut String) {
    truncate(name, NAME_BYTES_MAX);
}

/// Truncates a text with an ellipsis.
fn truncate(text: &mut String, bytes_max: usize) {
    if let Cow::Owned(short) = cut_with(text, bytes_max, "…") {
        *text = short;
    }
    text.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_sent_is_bounded() {
        let long = "ä".repeat(10_000);
        let attributes = (0..1_000)
            .map(|number| (format!("{number}{long}"), long.clone()))
            .collect();
        let sent = StoredSpan {
            name: long.clone(),
            message: long,
            attributes,
            links: vec![(1, 1); 100],
            start_us: 9,
            end_us: 3,
            ..StoredSpan::default()
        };
        let stored = sent.truncated();
        assert!(
            stored.name.len() <= NAME_BYTES_MAX && stored.name.ends_with('…'),
            "{}",
            stored.name
        );
        assert_eq!(
            (stored.attributes.len(), stored.links.len(), stored.end_us),
            (64, 16, 9)
        );
        assert!(stored.bytes() < 200_000, "{}", stored.bytes());
    }

    #[test]
    fn only_valid_ids_name_a_trace() {
        assert_eq!(
            trace_id("0af7651916cd43dd8448eb211c80319c"),
            Some(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c)
        );
        for bad in ["", "+af7651916cd43dd8448eb211c80319c", &"0".repeat(32), &"f".repeat(31)] {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
    }
}
