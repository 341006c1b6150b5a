//! Tables of aligned columns.

use serde_json::Value;

use super::cells::{left, plain, right, width};
use super::{coloured, line};

/// Prints rows below a header ([`render`]). Columns whose every value is a number stand at the right.
pub(crate) fn print(header: &[&str], rows: &[Vec<String>]) {
    line(&render(header, rows));
}

/// Prints how to go on behind a page that is not the last.
pub(crate) fn more(answer: &Value) {
    let token = text(&answer["nextPageToken"]);
    if !token.is_empty() {
        line(&format!("more: --page-token {token}"));
    }
}

/// The table as text, without its last line's end.
pub(crate) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    lines(header, rows, coloured()).join("\n")
}

fn lines(header: &[&str], rows: &[Vec<String>], colour: bool) -> Vec<String> {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| plain(cell)).collect())
        .collect();
    let columns: Vec<(usize, bool)> = (0..header.len())
        .map(|column| {
            let cells = || rows.iter().filter_map(move |row| row.get(column)).map(String::as_str);
            let widest = cells().chain([header[column]]).map(width).max().unwrap_or(0);
            let numeric = !rows.is_empty() && cells().all(|text| text.is_empty() || text.parse::<f64>().is_ok());
            (widest, numeric)
        })
        .collect();
    let align = |row: &[String]| {
        let aligned = columns.iter().enumerate().map(|(column, (width, numeric))| {
            let text = row.get(column).map(String::as_str).unwrap_or_default();
            match numeric {
                true => right(text, *width),
                false => left(text, *width),
            }
        });
        aligned.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let names: Vec<String> = header.iter().map(|name| name.to_uppercase()).collect();
    let head = match colour {
        true => format!("\u{1b}[1m{}\u{1b}[0m", align(&names)),
        false => align(&names),
    };
    std::iter::once(head).chain(rows.iter().map(|row| align(row))).collect()
}

/// A JSON [`Value`] as a person reads it: text bare, absent as nothing.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => plain(text),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), figure),
        other => other.to_string(),
    }
}

/// An integer, which the contract's JSON writes as a text where it may have 64 bits.
pub(crate) fn integer(value: &Value) -> u64 {
    let text = value.as_str().and_then(|text| text.parse().ok());
    text.or(value.as_u64()).unwrap_or(0)
}

/// A figure to six significant digits.
pub(crate) fn figure(value: f64) -> String {
    if value == 0.0 || (value.fract() == 0.0 && value.abs() < 1e15) {
        return format!("{value}");
    }
    let magnitude = value.abs().log10().floor();
    if !(-5.0..15.0).contains(&magnitude) {
        return format!("{value:.5e}");
    }
    // The magnitude is between -5 and 15 here, so the number of digits is between 0 and 10.
    let decimals = (5.0 - magnitude).clamp(0.0, 10.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align() {
        let rows = vec![
            vec!["a".to_owned(), "1".to_owned()],
            vec!["long".to_owned(), "12.5".to_owned()],
        ];
        assert_eq!(
            lines(&["name", "n"], &rows, false),
            ["NAME     N", "a        1", "long  12.5"]
        );
    }

    #[test]
    fn columns_align_by_cells() {
        let row = |name: &str, state: &str| vec![name.to_owned(), "ok".to_owned(), state.to_owned()];
        let rows = [
            row("模型", "部署"),
            row("🚀 rocket", "e\u{301}té\u{300}"),
            row("a", "👩\u{200d}👩\u{200d}👧"),
        ];
        let lines = lines(&["name", "is", "state"], &rows, false);
        let before = |line: &String| line.find("ok").map(|at| width(&line[..at]));
        assert!(lines[1..].iter().all(|line| before(line) == Some(11)), "{lines:#?}");
        assert_eq!(lines[1], "模型       ok  部署");
    }

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        let rows = vec![vec!["a\nb\u{1b}[31mc".to_owned()]];
        assert_eq!(lines(&["text"], &rows, false)[1], "a\u{fffd}b\u{fffd}[31mc");
    }

    #[test]
    fn figures_have_six_digits() {
        let shown = [0.0, 3.0, 1.5, 1234.56789, 0.000123456, 1e300, -2.5].map(figure);
        assert_eq!(
            shown,
            ["0", "3", "1.5", "1234.57", "0.000123456", "1.00000e300", "-2.5"]
        );
    }
}
