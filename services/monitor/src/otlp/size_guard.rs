//! Upper bound of a message's memory, computed from its bytes before it is decoded.
//!
//! Promises: one pass, no allocation, and never less than decoding takes: an empty span is two bytes on the wire and
//! hundreds in memory, so the length of a message is no measure. Leaves rejecting large messages to
//! [`super::receiver`].

use opentelemetry_proto::tonic::common::v1::{AnyValue, EntityRef, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::encoding::{WireType, decode_key, decode_varint};

use super::json;

#[cfg(test)]
pub(super) mod tests;

/// List slots per element, at most: the first allocation has four, and a full list doubles.
const PLACES: usize = 4;
/// Fixed memory of a text: the allocator's part.
const TEXT_BYTES: usize = 32;
/// Deepest nesting that the decoder accepts.
const DEPTH_MAX: u32 = 100;
/// Depth of brackets at which spans open in JSON; deeper values are at most as large as a link.
const JSON_SPAN_DEPTH: usize = 7;

/// Message types of OTLP that contain others.
#[derive(Debug, Clone, Copy)]
enum MessageKind {
    Request,
    ResourceSpans,
    Resource,
    Entity,
    ScopeSpans,
    Scope,
    Span,
    Event,
    Link,
    Pair,
    Pairs,
    /// Value of a pair, stored inside it.
    Value,
    Values,
    /// Value in a list.
    Item,
    Text,
    /// Text in a list.
    Word,
}

impl MessageKind {
    /// Kind of the field with this number; `Text` for every field without fields of its own.
    fn field(self, number: u32) -> Self {
        match (self, number) {
            (Self::Request, 1) => Self::ResourceSpans,
            (Self::ResourceSpans, 1) => Self::Resource,
            (Self::ResourceSpans, 2) => Self::ScopeSpans,
            (Self::Resource, 3) => Self::Entity,
            (Self::ScopeSpans, 1) => Self::Scope,
            (Self::ScopeSpans, 2) => Self::Span,
            (Self::Span, 11) => Self::Event,
            (Self::Span, 13) => Self::Link,
            (Self::Resource | Self::Pairs, 1) | (Self::Scope | Self::Event, 3) => Self::Pair,
            (Self::Link, 4) | (Self::Span, 9) => Self::Pair,
            (Self::Pair, 2) => Self::Value,
            (Self::Values, 1) => Self::Item,
            (Self::Value | Self::Item, 5) => Self::Values,
            (Self::Value | Self::Item, 6) => Self::Pairs,
            (Self::Entity, 3 | 4) => Self::Word,
            _ => Self::Text,
        }
    }

    /// Fixed memory of one inside a list.
    fn bytes(self) -> usize {
        match self {
            Self::Request | Self::Pairs | Self::Value | Self::Values | Self::Text => 0,
            Self::ResourceSpans => size_of::<ResourceSpans>(),
            Self::Resource => size_of::<Resource>(),
            Self::Entity => size_of::<EntityRef>(),
            Self::ScopeSpans => size_of::<ScopeSpans>(),
            Self::Scope => size_of::<InstrumentationScope>(),
            Self::Span => size_of::<Span>(),
            Self::Event => size_of::<Event>(),
            Self::Link => size_of::<Link>(),
            Self::Pair => size_of::<KeyValue>(),
            Self::Item => size_of::<AnyValue>(),
            Self::Word => size_of::<String>(),
        }
    }
}

/// Upper bound of a message's memory once it is decoded from protobuf, in bytes.
pub(super) fn protobuf(message: &[u8]) -> usize {
    within(MessageKind::Request, message, 0)
}

/// Memory of everything below a message. Counting ends at the first malformed byte, as decoding does.
fn within(kind: MessageKind, mut bytes: &[u8], depth: u32) -> usize {
    let mut total = 0;
    while let Ok((number, wire)) = decode_key(&mut bytes) {
        let length = match wire {
            WireType::Varint if decode_varint(&mut bytes).is_ok() => continue,
            WireType::Varint => break,
            WireType::StartGroup | WireType::EndGroup => continue,
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => match decode_varint(&mut bytes) {
                Ok(length) => usize::try_from(length).unwrap_or(usize::MAX),
                Err(_) => break,
            },
        };
        let Some((field, rest)) = bytes.split_at_checked(length) else {
            break;
        };
        bytes = rest;
        if wire == WireType::LengthDelimited {
            let field_kind = kind.field(number);
            total += field_kind.bytes() * PLACES;
            total += match field_kind {
                MessageKind::Text | MessageKind::Word => field.len() + TEXT_BYTES,
                _ if depth < DEPTH_MAX => within(field_kind, field, depth + 1),
                _ => 0,
            };
        }
    }
    total
}

/// Upper bound of a message's memory once it is decoded from JSON, in bytes. More than [`protobuf`], as serde fills
/// types of its own before.
pub(super) fn json(message: &[u8]) -> usize {
    let (mut total, mut depth) = (0, 0_usize);
    let (mut in_text, mut escaped) = (false, false);
    for byte in message {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => {
                in_text = !in_text;
                total += if in_text { TEXT_BYTES } else { 0 };
            }
            _ if in_text => {}
            b'{' | b'[' => {
                depth += 1;
                let (read, made) = match depth {
                    0..=JSON_SPAN_DEPTH => (json::SPAN_BYTES, size_of::<Span>()),
                    _ => (json::PART_BYTES, size_of::<Link>()),
                };
                total += (read + made) * PLACES;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    // Each text is there in both forms only while it is handed over.
    total + message.len()
}
