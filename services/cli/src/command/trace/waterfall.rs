//! A trace as bars over time, one line a span.
//!
//! Promises: children are indented below their parents, as the contract orders them; whatever a span is called, it cannot
//! move the cursor or colour the terminal. Leaves printing to [`crate::output`].

use std::collections::BTreeMap;

use serde_json::Value;

use crate::output::cells::{cut, left, plain, width};
use crate::output::table::{figure, integer, text};

/// Columns of the longest bar.
const BAR: u64 = 40;
/// Cells of the longest label, so that bars stay beside it.
const LABEL_CELLS_MAX: usize = 56;
/// Deeper spans are not indented further.
const INDENT_MAX: usize = 12;

/// The lines of a trace, as REST gives it.
pub(super) fn lines(trace: &Value, colour: bool) -> Vec<String> {
    let paint = |code: &str, text: &str| match colour {
        true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        false => text.to_owned(),
    };
    let mut lines = vec![paint("1", &head(trace))];
    let spans = trace["spans"].as_array().map(Vec::as_slice).unwrap_or_default();
    let total = integer(&trace["durationUs"]).max(1);
    let rows: Vec<(String, &Value)> = nested(spans)
        .into_iter()
        .map(|(depth, span)| (label(depth, span), span))
        .collect();
    let widest = rows.iter().map(|(label, _)| width(label)).max().unwrap_or(0);
    for (label, span) in rows {
        let failed = span["failed"] == true;
        let (before, bar) = bar(integer(&span["offsetUs"]), integer(&span["durationUs"]), total);
        let behind = " ".repeat(
            usize::try_from(BAR)
                .unwrap_or(0)
                .saturating_sub(before.len() + bar.chars().count()),
        );
        let bar = paint(if failed { "31" } else { "36" }, &bar);
        let took = duration(integer(&span["durationUs"]));
        let message = if failed {
            format!("  ✗ {}", plain(&text(&span["message"])))
        } else {
            String::new()
        };
        let line = format!(
            "{}  {before}{bar}{behind}  {took:>9}{}",
            left(&label, widest),
            paint("31", message.trim_end())
        );
        // Colours of nothing would stand at the end of each line.
        lines.push(line.trim_end_matches("\u{1b}[31m\u{1b}[0m").trim_end().to_owned());
    }
    let dropped = integer(&trace["droppedSpanCount"]);
    if dropped > 0 {
        lines.push(format!("{dropped} more spans did not fit."));
    }
    lines
}

/// The headline: name, duration, number of spans, start.
fn head(trace: &Value) -> String {
    let took = duration(integer(&trace["durationUs"]));
    let (name, id) = (plain(&text(&trace["name"])), plain(&text(&trace["traceId"])));
    let failed = if trace["failed"] == true { ", failed" } else { "" };
    let (count, start) = (integer(&trace["spanCount"]), text(&trace["startTime"]));
    format!("{name}  {took}, {count} spans{failed}  {}  trace {id}", plain(&start))
}

fn label(depth: usize, span: &Value) -> String {
    let indent = "  ".repeat(depth.min(INDENT_MAX));
    let service = plain(&text(&span["service"]));
    let name = plain(&text(&span["name"]));
    cut(&format!("{indent}{service} {name}"), LABEL_CELLS_MAX, "…")
}

/// Spans with their depth. They come in the order of the drawing: each below the one that caused it.
fn nested<'a>(spans: &'a [Value]) -> Vec<(usize, &'a Value)> {
    let mut depths: BTreeMap<String, usize> = BTreeMap::new();
    let row = |span: &'a Value| {
        let above = depths.get(&text(&span["parentSpanId"]));
        let depth = above.map_or(0, |above| above + 1);
        depths.insert(text(&span["spanId"]), depth);
        (depth, span)
    };
    spans.iter().map(row).collect()
}

/// The space before a bar, and the bar: never empty, however short the span is.
fn bar(offset_us: u64, took_us: u64, total_us: u64) -> (String, String) {
    let at = |us: u64| u128::from(us.min(total_us)) * u128::from(BAR) / u128::from(total_us);
    let columns = |columns: u128| usize::try_from(columns).unwrap_or(0);
    let from = at(offset_us).min(u128::from(BAR) - 1);
    let to = at(offset_us.saturating_add(took_us));
    let length = to.saturating_sub(from);
    let bar = if length == 0 {
        "▏".to_owned()
    } else {
        "█".repeat(columns(length))
    };
    (" ".repeat(columns(from)), bar)
}

/// A duration in the unit that suits it.
fn duration(us: u64) -> String {
    let rounded = |value: f64| figure((value * 100.0).round() / 100.0);
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => format!("{} ms", rounded(us as f64 / 1e3)),
        _ => format!("{} s", rounded(us as f64 / 1e6)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn span(id: &str, parent: &str, name: &str, offset_us: u64, took_us: u64) -> Value {
        json!({
            "spanId": id, "parentSpanId": parent, "name": name, "service": "gateway", "failed": false, "message": "",
            "offsetUs": offset_us.to_string(), "durationUs": took_us.to_string(),
        })
    }

    fn trace(spans: Vec<Value>) -> Value {
        json!({
            "traceId": "0af7651916cd43dd8448eb211c80319c", "startTime": "2026-11-22T09:00:00Z", "name": "asks",
            "durationUs": "2000", "failed": true, "spanCount": spans.len(), "droppedSpanCount": 3, "spans": spans,
        })
    }

    #[test]
    fn a_trace_is_drawn() {
        let mut failed = span("c", "b", "fails", 1_500, 500);
        failed["failed"] = true.into();
        failed["message"] = "no luck\u{1b}[2J".into();
        let spans = vec![
            span("a", "", "asks", 0, 2_000),
            span("b", "a", "works", 1_000, 1_000),
            failed,
            span("d", "a", "ends", 1_999, 1),
        ];
        let drawn = lines(&trace(spans), false);
        let full = "█".repeat(40);
        let (half, quarter) = ("█".repeat(20), "█".repeat(10));
        assert_eq!(
            drawn,
            [
                "asks  2 ms, 4 spans, failed  2026-11-22T09:00:00Z  trace 0af7651916cd43dd8448eb211c80319c".to_owned(),
                format!("gateway asks       {full}       2 ms"),
                format!("  gateway works    {}{half}       1 ms", " ".repeat(20)),
                format!(
                    "    gateway fails  {}{quarter}     500 us  ✗ no luck�[2J",
                    " ".repeat(30)
                ),
                format!("  gateway ends     {}█       1 us", " ".repeat(39)),
                "3 more spans did not fit.".to_owned(),
            ]
        );
    }

    #[test]
    fn colours_stand_around_bars_only() {
        let drawn = lines(&trace(vec![span("a", "", "asks", 0, 2_000)]), true);
        assert_eq!(
            drawn[1],
            format!("gateway asks  \u{1b}[36m{}\u{1b}[0m       2 ms", "█".repeat(40))
        );
        assert!(drawn[0].starts_with("\u{1b}[1masks"));
    }

    #[test]
    fn odd_traces_are_drawn_too() {
        let circle = vec![
            span("a", "b", "a", 0, 0),
            span("b", "a", "b", u64::MAX, u64::MAX),
            span("c", "?", "c", 5, 0),
        ];
        let drawn = lines(&trace(circle), false);
        assert_eq!(drawn.len(), 1 + 3 + 1, "{drawn:#?}");
        assert!(drawn[3].contains("gateway c    ▏"), "{drawn:#?}");
        assert_eq!(lines(&json!({}), false).len(), 1);
        let long = lines(&trace(vec![span("a", "", &"ä".repeat(500), 0, 1)]), false);
        assert!(long[1].chars().count() < 120, "{}", long[1]);
    }

    #[test]
    fn bars_begin_in_one_column_whatever_the_names_are() {
        let spans = vec![
            span("a", "", "asks", 0, 2_000),
            span("b", "a", "模型推理 🚀", 0, 2_000),
            span("c", "a", &"模".repeat(100), 0, 2_000),
        ];
        let drawn = lines(&trace(spans), false);
        let begin = |line: &String| line.find('█').map(|at| width(&line[..at]));
        let expected = Some(LABEL_CELLS_MAX - 1 + 2);
        assert!(drawn[1..4].iter().all(|line| begin(line) == expected), "{drawn:#?}");
    }
}
