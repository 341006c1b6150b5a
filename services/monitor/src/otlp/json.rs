//! OTLP's JSON encoding.
//!
//! Promises: all that the [specification](https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding) defines is
//! read (hexadecimal ids, 64-bit integers as texts, enums as numbers), and unknown fields are ignored, as it requires.
//! Enums by name and null for absent values are read too, because generic proto-JSON printers send them. Leaves the
//! meaning to [`super::decode`].
//!
//! The `with-serde` feature of `opentelemetry-proto` (0.33) is no substitute: it refuses enums by name, null for a
//! list, and NaN or infinite doubles, which proto-JSON sends as texts; an unknown field inside a value ends its parser,
//! as the value of that field is not consumed.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1 as wire;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource as WireResource;
use opentelemetry_proto::tonic::trace::v1 as trace;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde::{Deserialize, Deserializer};

#[cfg(test)]
mod tests;

/// Memory of a span in the intermediate form, without its lists and texts.
pub(super) const SPAN_BYTES: usize = size_of::<Span>();
/// Memory of the largest part of one: an attribute, a link, or a value of a list.
pub(super) const PART_BYTES: usize = size_of::<KeyValue>();

/// Parses a message.
pub(super) fn parse(body: &[u8]) -> serde_json::Result<ExportTraceServiceRequest> {
    // A list would be taken for the fields of the message in their order.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(serde::de::Error::custom(
            "a list, where an object with `resourceSpans` is expected",
        ));
    }
    let request: Request = serde_json::from_slice(body)?;
    Ok(ExportTraceServiceRequest {
        resource_spans: request.resource_spans.into_iter().map(resource_spans).collect(),
    })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Request {
    #[serde(deserialize_with = "or_default")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ResourceSpans {
    #[serde(deserialize_with = "or_default")]
    resource: Resource,
    #[serde(deserialize_with = "or_default")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resource {
    #[serde(deserialize_with = "or_default")]
    attributes: Vec<KeyValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScopeSpans {
    #[serde(deserialize_with = "or_default")]
    spans: Vec<Span>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Span {
    trace_id: Id,
    span_id: Id,
    #[serde(deserialize_with = "or_default")]
    parent_span_id: Id,
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "enum_number::<SpanKind, _>")]
    kind: i32,
    #[serde(deserialize_with = "or_default")]
    start_time_unix_nano: Number,
    #[serde(deserialize_with = "or_default")]
    end_time_unix_nano: Number,
    #[serde(deserialize_with = "or_default")]
    attributes: Vec<KeyValue>,
    #[serde(deserialize_with = "or_default")]
    links: Vec<Link>,
    #[serde(deserialize_with = "or_default")]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Link {
    trace_id: Id,
    span_id: Id,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    #[serde(deserialize_with = "enum_number::<StatusCode, _>")]
    code: i32,
    #[serde(deserialize_with = "or_default")]
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct KeyValue {
    key: String,
    #[serde(deserialize_with = "or_default")]
    value: AnyValue,
}

/// Value, of which at most one field is set.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AnyValue {
    string_value: Option<String>,
    bool_value: Option<bool>,
    int_value: Option<Number>,
    double_value: Option<Double>,
    array_value: Option<List<AnyValue>>,
    kvlist_value: Option<List<KeyValue>>,
    bytes_value: Option<String>,
}

#[derive(Deserialize)]
struct List<T> {
    #[serde(default = "Vec::new")]
    values: Vec<T>,
}

/// Hexadecimal digits of either case.
#[derive(Default)]
struct Id(Vec<u8>);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        });
        let bytes: Option<Vec<u8>> = pairs.collect();
        bytes
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("an id is an even number of hexadecimal digits"))
    }
}

/// Enum of the protocol, with the names of its values.
trait Named: Into<i32> {
    /// Returns the value of this name.
    fn parse(name: &str) -> Option<Self>;
}

impl Named for SpanKind {
    fn parse(name: &str) -> Option<Self> {
        Self::from_str_name(name)
    }
}

impl Named for StatusCode {
    fn parse(name: &str) -> Option<Self> {
        Self::from_str_name(name)
    }
}

/// Number of an enum value, sent as such or by the name that generic proto-JSON encoders write; 0 for null.
fn enum_number<'de, E: Named, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Number(i32),
        Name(String),
    }
    match Option::deserialize(deserializer)? {
        None => Ok(0),
        Some(Form::Number(number)) => Ok(number),
        Some(Form::Name(name)) => E::parse(&name).map(Into::into).ok_or_else(|| {
            let message = format!("{name:?} is no value of its enum; send its number");
            serde::de::Error::custom(message)
        }),
    }
}

/// 64-bit integer, as a number or as a text.
#[derive(Default)]
struct Number(i128);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Encoding {
            Small(i64),
            Large(u64),
            Text(String),
        }
        match Encoding::deserialize(deserializer)? {
            Encoding::Small(number) => Ok(Self(number.into())),
            Encoding::Large(number) => Ok(Self(number.into())),
            Encoding::Text(text) => text.parse().map(Self).map_err(serde::de::Error::custom),
        }
    }
}

/// Double; NaN and the infinities are texts.
struct Double(f64);

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Encoding {
            Number(f64),
            Text(String),
        }
        match Encoding::deserialize(deserializer)? {
            Encoding::Number(number) => Ok(Self(number)),
            Encoding::Text(text) => text.parse().map(Self).map_err(serde::de::Error::custom),
        }
    }
}

/// Default for null, which proto-JSON treats as an absent value.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn resource_spans(sent: ResourceSpans) -> trace::ResourceSpans {
    let resource = WireResource {
        attributes: pairs(sent.resource.attributes),
        ..WireResource::default()
    };
    let scopes = sent.scope_spans.into_iter().map(|scope| trace::ScopeSpans {
        spans: scope.spans.into_iter().map(span).collect(),
        ..trace::ScopeSpans::default()
    });
    trace::ResourceSpans {
        resource: Some(resource),
        scope_spans: scopes.collect(),
        ..trace::ResourceSpans::default()
    }
}

fn span(sent: Span) -> trace::Span {
    let link = |link: Link| trace::span::Link {
        trace_id: link.trace_id.0,
        span_id: link.span_id.0,
        ..trace::span::Link::default()
    };
    trace::Span {
        trace_id: sent.trace_id.0,
        span_id: sent.span_id.0,
        parent_span_id: sent.parent_span_id.0,
        name: sent.name,
        kind: sent.kind,
        start_time_unix_nano: u64::try_from(sent.start_time_unix_nano.0).unwrap_or(0),
        end_time_unix_nano: u64::try_from(sent.end_time_unix_nano.0).unwrap_or(0),
        attributes: pairs(sent.attributes),
        links: sent.links.into_iter().map(link).collect(),
        status: Some(trace::Status {
            code: sent.status.code,
            message: sent.status.message,
        }),
        ..trace::Span::default()
    }
}

fn pairs(sent: Vec<KeyValue>) -> Vec<wire::KeyValue> {
    let pair = |pair: KeyValue| wire::KeyValue {
        key: pair.key,
        value: Some(any(pair.value)),
        ..wire::KeyValue::default()
    };
    sent.into_iter().map(pair).collect()
}

fn any(sent: AnyValue) -> wire::AnyValue {
    let list = |list: List<AnyValue>| {
        let values = list.values.into_iter().map(any).collect();
        Value::ArrayValue(wire::ArrayValue { values })
    };
    let map = |list: List<KeyValue>| {
        let values = pairs(list.values);
        Value::KvlistValue(wire::KeyValueList { values })
    };
    let int = |number: Number| Value::IntValue(i64::try_from(number.0).unwrap_or(i64::MAX));
    let value = sent.string_value.map(Value::StringValue);
    let value = value
        .or(sent.bool_value.map(Value::BoolValue))
        .or(sent.int_value.map(int))
        .or(sent.double_value.map(|double| Value::DoubleValue(double.0)))
        .or(sent.array_value.map(list))
        .or(sent.kvlist_value.map(map))
        // Base64 is as good to look at as a number of bytes.
        .or(sent.bytes_value.map(Value::StringValue));
    wire::AnyValue { value }
}
