//! A span as it is kept: smaller than OTLP's, and bounded.
//!
//! Promises: nothing in it is longer than its limit, whatever was sent. Leaves reading the wire to `receive`.

use lepton_domain::time::Timestamp;
use lepton_proto::convert::time::timestamp;
use lepton_proto::convert::trace::decides;
use lepton_proto::monitor::v1::{Span, SpanKind, SpanLink};

/// Attributes of a span; further ones are left out.
const ATTRIBUTES_MAX: usize = 64;
/// Links of a span; further ones are left out.
const LINKS_MAX: usize = 16;
/// Bytes of a name, of an attribute's key, and of who sent it; longer ones are cut.
const NAME_BYTES_MAX: usize = 256;
/// Bytes of an attribute's value and of a message; longer ones are cut.
const VALUE_BYTES_MAX: usize = 2_048;
/// The allocator's part of each piece of memory: it rounds up to 16 bytes, keeps 8 for itself, and gives 32 at least.
pub(super) const BLOCK_BYTES: usize = 32;
/// What a span takes beside what hangs below it: itself, and its place in a list that may be half empty.
const SPAN_BYTES: usize = size_of::<Piece>() + BLOCK_BYTES + 2 * size_of::<usize>();

/// A span that arrived, and its trace.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arrival {
    /// Its trace; never 0.
    pub trace: u128,
    /// The span.
    pub span: Piece,
}

/// A span.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Piece {
    /// Its id; never 0.
    pub id: u64,
    /// The span above; 0 for none.
    pub parent: u64,
    /// What was done.
    pub name: String,
    /// What kind of work it was.
    pub kind: SpanKind,
    /// The service that did it.
    pub service: String,
    /// The instance that did it.
    pub instance: String,
    /// When it began, microseconds since 1970; 0 if nobody knows.
    pub start_us: u64,
    /// When it ended, not before its beginning.
    pub end_us: u64,
    /// Whether it failed.
    pub failed: bool,
    /// What it said of its failure.
    pub message: String,
    /// Its attributes, by key.
    pub attributes: Vec<(String, String)>,
    /// Traces and spans that it is linked to.
    pub links: Vec<(u128, u64)>,
}

impl Piece {
    /// Cuts everything to its limit, and gives back what is reserved beyond.
    pub fn bounded(mut self) -> Self {
        for name in [&mut self.name, &mut self.service, &mut self.instance] {
            cut(name, NAME_BYTES_MAX);
        }
        cut(&mut self.message, VALUE_BYTES_MAX);
        self.links.truncate(LINKS_MAX);
        self.links.shrink_to_fit();
        self.attributes.truncate(ATTRIBUTES_MAX);
        self.attributes.shrink_to_fit();
        for (key, value) in &mut self.attributes {
            cut(key, NAME_BYTES_MAX);
            cut(value, VALUE_BYTES_MAX);
        }
        if self.start_us == 0 {
            self.start_us = self.end_us;
        }
        self.end_us = self.end_us.max(self.start_us);
        self
    }

    /// What it takes of memory, at most.
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

    /// Whether its failure is one of the trace.
    pub fn fails(&self) -> bool {
        self.failed && decides(self.kind, self.parent != 0)
    }

    /// As the contract has it. The place in its trace is filled in when the trace is put together.
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

/// A trace's id from 32 hexadecimal digits.
pub(super) fn trace_id(text: &str) -> Option<u128> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u128::from_str_radix(text, 16).ok().filter(|id| digits && *id != 0)
}

/// Cuts what each span of a sender gets a copy of.
pub(super) fn cut_name(name: &mut String) {
    cut(name, NAME_BYTES_MAX);
}

/// Cuts a text, and shows where.
fn cut(text: &mut String, bytes_max: usize) {
    const MARK: &str = "…";
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max - MARK.len()));
        text.push_str(MARK);
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
        let sent = Piece {
            name: long.clone(),
            message: long,
            attributes,
            links: vec![(1, 1); 100],
            start_us: 9,
            end_us: 3,
            ..Piece::default()
        };
        let kept = sent.bounded();
        assert!(
            kept.name.len() <= NAME_BYTES_MAX && kept.name.ends_with('…'),
            "{}",
            kept.name
        );
        assert_eq!((kept.attributes.len(), kept.links.len(), kept.end_us), (64, 16, 9));
        assert!(kept.bytes() < 200_000, "{}", kept.bytes());
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
