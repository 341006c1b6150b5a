//! Durations as text, such as `250us`, `500ms`, `10s`, `5m` or `1h`.
//!
//! Promises: what is written is what is read. For fields with `#[serde(with = "lepton_mesh::config::duration")]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

/// The units, largest first, in microseconds.
const UNITS: [(&str, u64); 5] = [
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// Reads a whole number and its unit.
pub fn parse(text: &str) -> Option<Duration> {
    let split = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let (_, micros) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_micros(number.parse::<u64>().ok()?.checked_mul(*micros)?))
}

/// The shortest text for a duration; what is below a microsecond is dropped.
pub fn format(duration: Duration) -> String {
    let total = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let whole = UNITS
        .iter()
        .find(|(_, micros)| total >= *micros && total.is_multiple_of(*micros));
    whole.map_or_else(|| "0s".to_owned(), |(name, micros)| format!("{}{name}", total / micros))
}

/// Writes a duration as text.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// Reads a duration from text.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| {
        de::Error::custom(format!(
            "{text:?} is not a duration such as \"500ms\", \"10s\" or \"1h\""
        ))
    })
}
