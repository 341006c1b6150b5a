//! Numbers, sizes and times as people read them, and the small drawings beside them.

use std::time::Duration;

use lepton_domain::time::Timestamp;
use lepton_proto::convert::time::timestamp;
use maud::{Markup, html};

#[cfg(test)]
mod tests;

/// Size of a curve's drawing; the style sheet scales it.
const CURVE_WIDTH: f64 = 100.0;
const CURVE_HEIGHT: f64 = 20.0;

/// A whole number with commas.
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

/// A rate or share: one decimal below ten, none above.
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

/// A time span by its two largest units.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} min {} s", seconds % 60),
        3_600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// A moment in full, RFC 3339.
pub(super) fn moment(time: Timestamp) -> String {
    timestamp(time).to_string()
}

/// A curve of values, the newest at the right edge. Without any movement it is a line at the bottom.
pub(super) fn curve(values: &[f64], points: usize) -> Markup {
    let max = values.iter().copied().fold(1.0, f64::max);
    let step = CURVE_WIDTH / points.max(2).saturating_sub(1) as f64;
    let place = |(back, value): (usize, &f64)| {
        let x = CURVE_WIDTH - back as f64 * step;
        let y = (CURVE_HEIGHT - 1.5) - (CURVE_HEIGHT - 3.0) * (value / max);
        format!("{x:.1},{y:.1}")
    };
    let line: Vec<_> = values.iter().rev().take(points).enumerate().map(place).collect();
    let size = format!("0 0 {CURVE_WIDTH} {CURVE_HEIGHT}");
    html! {
        svg class="curve" viewBox=(size) preserveAspectRatio="none" aria-hidden="true" {
            polyline points=(line.join(" ")) {}
        }
    }
}

/// A bar that is filled to `share`, 0 to 1.
pub(super) fn bar(share: f64) -> Markup {
    let share = share.clamp(0.0, 1.0);
    let class = if share >= 0.9 { "bar full" } else { "bar" };
    html! {
        svg class=(class) viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" {
            rect class="rest" width="100" height="6" {}
            rect class="used" width=(format!("{:.1}", share * 100.0)) height="6" {}
        }
    }
}
