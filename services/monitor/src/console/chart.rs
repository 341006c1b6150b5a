//! Curves and bars as SVG.
//!
//! Promises: no style attributes, as the content security policy forbids them; every drawing has its figures beside it
//! or in its label, for readers who cannot see it.

use maud::{Markup, html};

use crate::stats::ring::Point;
use crate::view::InstanceLoad;

/// Size of a curve in its own units; the style sheet scales it.
const WIDTH: f64 = 100.0;
const HEIGHT: f64 = 32.0;

/// Points of a curve: a minute at one a second.
const POINTS: usize = 60;

/// History of a figure, newest first, so that histories of different lengths align at the present.
pub(super) fn history(load: &InstanceLoad, figure: impl Fn(&Point) -> f64) -> Vec<f64> {
    load.recent.iter().rev().take(POINTS).map(figure).collect()
}

/// Small curve of values, the newest first and at the right edge. Its top is the largest value, and at least `floor`.
pub(super) fn spark(values: &[f64], floor: f64) -> Markup {
    curves(&[("line", values)], floor, "spark")
}

/// Curve with a second one on the same scale; `class` selects the style of that one.
pub(super) fn pair(values: &[f64], (class, other): (&str, &[f64]), floor: f64) -> Markup {
    curves(&[("line", values), (class, other)], floor, "chart")
}

fn curves(series: &[(&str, &[f64])], floor: f64, class: &str) -> Markup {
    let all = series.iter().flat_map(|(_, values)| values.iter().take(POINTS));
    let max = all.copied().fold(floor, f64::max).max(f64::MIN_POSITIVE);
    let size = format!("0 0 {WIDTH} {HEIGHT}");
    html! {
        svg class=(class) viewBox=(size) preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            @if class == "chart" {
                line.grid x1="0" x2=(WIDTH) y1="1" y2="1" {}
                line.grid x1="0" x2=(WIDTH) y1=(HEIGHT / 2.0) y2=(HEIGHT / 2.0) {}
                line.grid x1="0" x2=(WIDTH) y1=(HEIGHT - 1.0) y2=(HEIGHT - 1.0) {}
            }
            @for (class, values) in series {
                @let line = line(values, max);
                @if !line.is_empty() {
                    g class=(class) {
                        polygon points=(area(&line)) {}
                        polyline points=(joined(&line)) {}
                    }
                }
            }
        }
    }
}

/// Points of a curve, the newest first.
fn line(values: &[f64], max: f64) -> Vec<(f64, f64)> {
    // Nothing has moved: a line at the bottom would only look like one more axis.
    if values.iter().take(POINTS).all(|value| *value <= 0.0) {
        return Vec::new();
    }
    let step = WIDTH / (POINTS - 1) as f64;
    let newest = values.iter().take(POINTS).enumerate();
    newest
        .map(|(back, value)| {
            let y = (HEIGHT - 1.0) - (HEIGHT - 2.0) * (value / max).clamp(0.0, 1.0);
            (WIDTH - back as f64 * step, y)
        })
        .collect()
}

/// Polygon of the area under a curve.
fn area(line: &[(f64, f64)]) -> String {
    let left = line.last().map_or(WIDTH, |(x, _)| *x);
    format!("{WIDTH:.1},{HEIGHT:.1} {} {left:.1},{HEIGHT:.1}", joined(line))
}

fn joined(line: &[(f64, f64)]) -> String {
    let points: Vec<String> = line.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    points.join(" ")
}

/// Bar filled to `share`, 0 to 1.
pub(super) fn bar(share: f64) -> Markup {
    let share = share.clamp(0.0, 1.0);
    let class = if share >= 0.9 { "bar full" } else { "bar" };
    html! {
        svg class=(class) viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            rect.rest width="100" height="4" {}
            rect.used width=(format!("{:.1}", share * 100.0)) height="4" {}
        }
    }
}

/// Section of a time axis, with start and length as shares of the whole. Never too short to be visible.
pub(super) fn stretch(from: f64, length: f64, failed: bool) -> Markup {
    let length = length.clamp(0.0, 1.0).max(0.004);
    let from = from.clamp(0.0, 1.0 - length);
    let class = if failed { "stretch bad" } else { "stretch" };
    html! {
        svg class=(class) viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            rect x=(format!("{:.1}", from * 1e3)) width=(format!("{:.1}", length * 1e3)) height="10" rx="2" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_stay_inside_their_drawing() {
        let values: Vec<f64> = (0..1_000).map(|number| f64::from(number) * 1e300).collect();
        let drawn = spark(&values, 1.0).0;
        assert_eq!(drawn.matches("polyline").count(), 2, "opened and closed: {drawn}");
        assert!(
            !drawn.contains("NaN") && !drawn.contains("inf") && !drawn.contains(",-"),
            "{drawn}"
        );
        assert!(!spark(&[0.0; 60], 1.0).0.contains("polyline"), "nothing moved");
        assert!(!spark(&[], 0.0).0.contains("NaN"));
        let bars = [bar(7.0), stretch(2.0, 0.0, false), stretch(-1.0, 9.0, true)];
        assert!(bars.iter().all(|bar| !bar.0.contains("\"-")), "{bars:?}");
    }
}
