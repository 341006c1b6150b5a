//! `lepton analyze FILE`: statistics, correlations and a fit of the rows in a file.

use std::collections::BTreeMap;

use lepton_domain::reason::{ApiError, Reason};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Session;
use crate::args::Analyze;
use crate::client::unwritable;
use crate::input::{self, Content, Object};
use crate::output::line;
use crate::output::table::{figure, print, text};

/// Member of a request with its rows.
const DATA: &str = "data";
/// Member of a request with its columns.
const TABLE: &str = "table";
/// Correlations shown; all of them come with `--output json`.
const CORRELATIONS_SHOWN: usize = 10;

/// Runs the command.
pub(super) async fn run(session: &Session, args: &Analyze) -> Result<(), ApiError> {
    let body = request(args)?;
    let answer = session.client.post("/api/v1/analyze", body).await?;
    session.print(&answer, show)
}

/// The request of the file and the flags, of which flags take precedence.
fn request(args: &Analyze) -> Result<Vec<u8>, ApiError> {
    let mut request = match input::content(&args.file)? {
        Content::Delimited(table) => BTreeMap::from([(DATA.to_owned(), table.rows()?)]),
        Content::Rows(rows) => BTreeMap::from([(DATA.to_owned(), rows)]),
        Content::Object(object) => whole(object)?,
    };
    for (name, value) in [("target", &args.target), ("model", &args.model)] {
        if let Some(value) = value {
            let quoted = serde_json::value::to_raw_value(value).map_err(unwritable)?;
            request.insert(name.to_owned(), quoted);
        }
    }
    serde_json::to_vec(&request).map_err(unwritable)
}

/// The members of an [`Object`] that is a whole request.
fn whole(object: Object) -> Result<BTreeMap<String, Box<RawValue>>, ApiError> {
    if object.members.contains_key(DATA) || object.members.contains_key(TABLE) {
        return Ok(object.members);
    }
    let message = format!(
        "{}: one object that is neither a request, which has its rows in `{DATA}`, nor a row, whose values are texts, \
         numbers, booleans or null",
        object.name
    );
    Err(ApiError::new(Reason::InvalidRow, message))
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

    /// The request that a file of this content makes, with a target.
    fn of(name: &str, content: &str) -> Result<Value, ApiError> {
        let file = std::env::temp_dir().join(format!("lepton-analyze-{}-{name}", std::process::id()));
        std::fs::write(&file, content).expect("a file");
        let args = Analyze {
            file: file.clone(),
            target: Some("b".to_owned()),
            model: None,
        };
        let body = request(&args);
        std::fs::remove_file(file).expect("it can be removed");
        Ok(serde_json::from_slice(&body?).expect("JSON"))
    }

    #[test]
    fn flags_complete_a_request() {
        let expected = json!({"data": [{"a": 1, "b": 2}], "target": "b"});
        for (name, content) in [
            ("rows.json", r#"[{"a":1,"b":2}]"#),
            ("rows.jsonl", r#"{"a":1,"b":2}"#),
            ("rows.csv", "a,b\n1,2\n"),
            ("request.json", r#"{"data":[{"a":1,"b":2}],"target":"a"}"#),
        ] {
            assert_eq!(of(name, content).expect("a request"), expected, "{name}");
        }
    }

    #[test]
    fn an_object_that_is_neither_row_nor_request_is_refused() {
        let refused = of("neither.json", r#"{"rows":[{"a":1}]}"#).expect_err("neither");
        assert_eq!(refused.reason, Reason::InvalidRow);
        assert!(refused.message.contains("`data`"), "{refused:?}");
    }
}
