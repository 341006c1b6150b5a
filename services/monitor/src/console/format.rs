//! Formats of numbers, sizes and times.

use std::time::Duration;

use lepton_domain::text::head;
use lepton_domain::time::Timestamp;
use lepton_proto::convert::time::{read_timestamp, timestamp};
use maud::{Markup, html};

#[cfg(test)]
mod tests;

/// Whole number with thousands separators.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Rate or share: one decimal below ten, none above.
pub(super) fn rate(number: f64) -> String {
    if number < 0.05 {
        "0".to_owned()
    } else if number < 9.95 {
        format!("{number:.1}")
    } else {
        count(number.round() as u64)
    }
}

/// Bytes in the unit that leaves one to four digits.
pub(super) fn bytes(number: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = UNITS.iter().find(|(power, _)| number >> power > 0);
    unit.map_or_else(
        || format!("{number} B"),
        |(power, name)| format!("{} {name}", rate(number as f64 / (1_u64 << power) as f64)),
    )
}

/// Microseconds in the unit that leaves one to four digits.
pub(super) fn micros(number: u64) -> String {
    match number {
        0..1_000 => format!("{number} µs"),
        1_000..1_000_000 => format!("{} ms", rate(number as f64 / 1e3)),
        _ => format!("{} s", rate(number as f64 / 1e6)),
    }
}

/// Duration in its two largest units.
pub(super) fn duration(exact: Duration) -> String {
    let seconds = exact.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} min {} s", seconds % 60),
        3_600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// Time in full, RFC 3339.
pub(super) fn moment(time: Timestamp) -> String {
    timestamp(time).to_string()
}

/// Time to the second, in full as a tooltip; with the date unless it is that of `now`.
pub(super) fn time(at: Timestamp, now: Timestamp) -> Markup {
    let whole = moment(at);
    let today = moment(now);
    let from = if whole.get(..10) == today.get(..10) { 11 } else { 0 };
    let short = whole.get(from..19).unwrap_or(&whole).replace('T', " ");
    html! { time datetime=(whole) title=(whole) { (short) " UTC" } }
}

/// Same as [`time`] for a time on the wire; [`dash`] if it is absent.
pub(super) fn wire_time(at: Option<&prost_types::Timestamp>, now: Timestamp) -> Markup {
    match at.and_then(parse_time) {
        Some(at) => time(at, now),
        None => dash(),
    }
}

/// Time on the wire; `None` if it is out of range.
pub(super) fn parse_time(at: &prost_types::Timestamp) -> Option<Timestamp> {
    read_timestamp("time", at).ok()
}

/// Duration to three digits below a minute, and as [`duration`] prints it above.
pub(super) fn precise_duration(exact: Duration) -> String {
    match exact.as_secs() {
        0..60 => micros(u64::try_from(exact.as_micros()).unwrap_or(u64::MAX)),
        _ => duration(exact),
    }
}

/// Placeholder for an absent figure.
pub(super) fn dash() -> Markup {
    html! { span.soft { "–" } }
}

/// Text, truncated with an ellipsis at a character boundary.
pub(super) fn truncate(text: &str, bytes_max: usize) -> String {
    match head(text, bytes_max) {
        whole if whole.len() == text.len() => whole.to_owned(),
        head => format!("{head}…"),
    }
}
