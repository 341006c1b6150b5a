//! `lepton analyze FILE`: statistics, correlations and a fit of the rows in a file.

use std::collections::BTreeMap;

use lepton_domain::reason::{Fault, Reason};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Session;
use crate::args::Analyze;
use crate::output::line;
use crate::output::table::{figure, print, text};

pub(super) mod rows;

/// Correlations shown; all of them come with `--output json`.
const CORRELATIONS_SHOWN: usize = 10;

/// Analyses the file.
pub(super) async fn run(session: &Session, wish: &Analyze) -> Result<(), Fault> {
    let body = request(wish)?;
    let answer = session.client.post("/api/v1/analyze", body).await?;
    session.print(&answer, show)
}

fn request(wish: &Analyze) -> Result<Vec<u8>, Fault> {
    let unreadable = |why: String| Fault::new(Reason::FileUnreadable, format!("{}: {why}", wish.file.display()));
    let csv = wish
        .file
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let mut request = if csv {
        BTreeMap::from([("data".to_owned(), rows::of_csv(&wish.file).map_err(unreadable)?)])
    } else {
        let written = std::fs::read_to_string(&wish.file).map_err(|error| unreadable(error.to_string()))?;
        of_json(&written).map_err(|error| {
            let file = wish.file.display();
            Fault::new(
                Reason::InvalidJson,
                format!("{file}: neither an array of rows nor a request in JSON: {error}"),
            )
        })?
    };
    for (name, value) in [("target", &wish.target), ("model", &wish.model)] {
        if let Some(value) = value {
            let quoted = serde_json::value::to_raw_value(value).map_err(|error| unreadable(error.to_string()))?;
            request.insert(name.to_owned(), quoted);
        }
    }
    serde_json::to_vec(&request).map_err(|error| unreadable(error.to_string()))
}

/// An array of rows, or a whole request.
fn of_json(written: &str) -> serde_json::Result<BTreeMap<String, Box<RawValue>>> {
    if written.trim_start().starts_with('[') {
        return Ok(BTreeMap::from([("data".to_owned(), serde_json::from_str(written)?)]));
    }
    serde_json::from_str(written)
}

fn show(answer: &Value) {
    line(&format!("{} rows", text(&answer["rowCount"])));
    let list = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
    let columns: Vec<Vec<String>> = list("columns").iter().map(column).collect();
    print(
        &[
            "column", "type", "count", "missing", "mean", "stddev", "ci95", "min", "median", "max", "outliers",
        ],
        &columns,
    );
    correlations(list("correlations"));
    fit(&answer["fit"]);
    for note in list("cleaned") {
        let action = text(&note["action"])
            .trim_start_matches("CLEANING_ACTION_")
            .to_lowercase()
            .replace('_', " ");
        line(&format!(
            "left out: {} ({action}, {})",
            text(&note["column"]),
            text(&note["count"])
        ));
    }
    let predictions = list("predictions");
    if !predictions.is_empty() {
        let shown = predictions
            .iter()
            .take(CORRELATIONS_SHOWN)
            .map(text)
            .collect::<Vec<_>>()
            .join(", ");
        line(&format!(
            "\npredictions: {shown}{}",
            if predictions.len() > CORRELATIONS_SHOWN {
                ", ..."
            } else {
                ""
            }
        ));
    }
    line(&format!("\ntrace {}", text(&answer["traceId"])));
}

fn column(column: &Value) -> Vec<String> {
    let kind = text(&column["type"]).trim_start_matches("COLUMN_TYPE_").to_lowercase();
    let interval = match &column["ci95"] {
        Value::Null => String::new(),
        interval => format!("{} .. {}", text(&interval["low"]), text(&interval["high"])),
    };
    let mut row = vec![
        text(&column["name"]),
        kind,
        text(&column["count"]),
        text(&column["missing"]),
    ];
    row.extend([text(&column["mean"]), text(&column["stddev"]), interval]);
    row.extend([
        text(&column["min"]),
        text(&column["quantiles"]["p50"]),
        text(&column["max"]),
        text(&column["outliers"]),
    ]);
    row
}

fn correlations(mut pairs: Vec<Value>) {
    pairs.retain(|pair| pair["r"].is_number());
    let strength = |pair: &Value| pair["r"].as_f64().map_or(0.0, f64::abs);
    pairs.sort_by(|a, b| strength(b).total_cmp(&strength(a)));
    pairs.truncate(CORRELATIONS_SHOWN);
    if !pairs.is_empty() {
        line("\nstrongest correlations");
        let rows: Vec<Vec<String>> = pairs
            .iter()
            .map(|pair| vec![text(&pair["a"]), text(&pair["b"]), text(&pair["r"])])
            .collect();
        print(&["a", "b", "r"], &rows);
    }
}

fn fit(fit: &Value) {
    if fit.is_null() {
        return;
    }
    let r2 = fit["r2"].as_f64().map_or_else(|| "undefined".to_owned(), figure);
    line(&format!(
        "\nfit of {}: R2 {r2} over {} rows",
        text(&fit["target"]),
        text(&fit["rowCount"])
    ));
    let intercept = ("intercept".to_owned(), fit["intercept"].clone());
    let coefficients = fit["coefficients"].as_object().cloned().unwrap_or_default();
    let rows: Vec<Vec<String>> = std::iter::once(intercept)
        .chain(coefficients)
        .map(|(name, value)| vec![name, text(&value)])
        .collect();
    print(&["term", "coefficient"], &rows);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flags_complete_a_request() {
        let file = std::env::temp_dir().join(format!("lepton-analyze-{}.json", std::process::id()));
        std::fs::write(&file, r#"[{"a":1,"b":2}]"#).expect("a file");
        let wish = Analyze {
            file: file.clone(),
            target: Some("b".to_owned()),
            model: None,
        };
        let body: Value = serde_json::from_slice(&request(&wish).expect("a request")).expect("JSON");
        assert_eq!(body, json!({"data": [{"a": 1, "b": 2}], "target": "b"}));
        std::fs::remove_file(file).expect("it can be removed");
    }
}
