//! What a message will take of memory, told from its bytes before it is decoded.
//!
//! Promises: one pass, no allocation, and never less than decoding takes: an empty span is two bytes on the wire and
//! hundreds in memory, so the length of a message says little. Leaves refusing what is too large to `receive`.

use opentelemetry_proto::tonic::common::v1::{AnyValue, EntityRef, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::encoding::{WireType, decode_key, decode_varint};

use super::json;

#[cfg(test)]
pub(super) mod tests;

/// Places that a list reserves for each element at most: the first has four, and later a full list doubles.
const PLACES: usize = 4;
/// What a text takes beside its bytes: the allocator's part.
const TEXT_BYTES: usize = 32;
/// The decoder refuses what is nested deeper.
const DEPTH_MAX: u32 = 100;
/// In JSON spans open at this many brackets, and what is larger than an attribute not deeper.
const JSON_SPAN_DEPTH: usize = 7;

/// The messages of OTLP that have others in them.
#[derive(Debug, Clone, Copy)]
enum Kind {
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
    /// The value of a pair, which is a part of it.
    Value,
    Values,
    /// A value in a list.
    Item,
    Text,
    /// A text in a list.
    Word,
}

impl Kind {
    /// What stands in its field of this number; `Text` for all that has nothing in it.
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

    /// What one takes where it stands in a list.
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

/// The most that a message takes once it is decoded, in bytes.
pub(super) fn protobuf(message: &[u8]) -> usize {
    within(Kind::Request, message, 0)
}

/// What hangs below a message. Decoding ends where this ends: at the first byte that makes no sense.
fn within(kind: Kind, mut bytes: &[u8], depth: u32) -> usize {
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
                Kind::Text | Kind::Word => field.len() + TEXT_BYTES,
                _ if depth < DEPTH_MAX => within(field_kind, field, depth + 1),
                _ => 0,
            };
        }
    }
    total
}

/// The same of a message in JSON, which takes more: it is read into a form of its own before.
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
