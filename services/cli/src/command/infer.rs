//! `lepton infer MODEL`: runs a deployed model on rows, each of which gets a prediction, or on tensors.

use std::io::Read;
use std::path::Path;

use lepton_domain::reason::{Fault, Reason};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Session;
use super::analyze::rows;
use crate::args::model::Infer;
use crate::client::escape;
use crate::output::line;
use crate::output::table::{print, text};

/// Values of a tensor that are shown; all of them come with `--output json`.
const VALUES_SHOWN: usize = 16;

mod grpc;

/// Runs the model.
pub(super) async fn run(session: &Session, wish: &Infer) -> Result<(), Fault> {
    let is_csv = wish
        .input
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    if is_csv {
        let rows = rows::of_csv(&wish.input).map_err(|why| unreadable(&wish.input, &why))?;
        return predict(session, wish, &rows).await;
    }
    let written = read(&wish.input)?;
    if written.trim_start().starts_with('[') {
        let rows: Box<RawValue> = serde_json::from_str(&written).map_err(|error| {
            let message = format!("{}: not an array of rows in JSON: {error}", wish.input.display());
            Fault::new(Reason::InvalidJson, message)
        })?;
        return predict(session, wish, &rows).await;
    }
    if wish.grpc {
        let answer = grpc::call(session, wish, &written).await?;
        return session.print(answer.as_bytes(), tensors);
    }
    let version = wish.version.map(|version| format!("/versions/{version}"));
    let path = format!(
        "/v2/models/{}{}/infer",
        escape(&wish.model),
        version.unwrap_or_default()
    );
    let body = session.client.post(&path, written).await?;
    session.print(&body, tensors)
}

fn unreadable(file: &Path, why: &dyn std::fmt::Display) -> Fault {
    Fault::new(Reason::FileUnreadable, format!("{}: {why}", file.display()))
}

fn read(file: &Path) -> Result<String, Fault> {
    if file == Path::new("-") {
        let mut written = String::new();
        let read = std::io::stdin().read_to_string(&mut written);
        return read.map(|_bytes| written).map_err(|error| unreadable(file, &error));
    }
    std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))
}

/// Asks for a prediction a row.
async fn predict(session: &Session, wish: &Infer, rows: &RawValue) -> Result<(), Fault> {
    let message = match wish {
        Infer { version: Some(_), .. } => "rows are answered by the deployed version; send tensors to name another",
        Infer { grpc: true, .. } => "rows go over REST; send tensors with --grpc",
        _ => "",
    };
    if !message.is_empty() {
        return Err(Fault::new(Reason::ConfigInvalid, message));
    }
    let body = format!(
        r#"{{"data":{},"model":{}}}"#,
        rows.get(),
        Value::from(wish.model.as_str())
    );
    let body = session.client.post("/api/v1/analyze", body).await?;
    session.print(&body, |answer| {
        let predictions = answer["predictions"].as_array().cloned().unwrap_or_default();
        let rows: Vec<Vec<String>> = predictions
            .iter()
            .enumerate()
            .map(|(row, prediction)| vec![(row + 1).to_string(), text(prediction)])
            .collect();
        print(&["row", "prediction"], &rows);
    })
}

/// Shows the outputs of an answer.
fn tensors(answer: &Value) {
    line(&format!(
        "{} version {}",
        text(&answer["model_name"]),
        text(&answer["model_version"])
    ));
    let outputs = answer["outputs"].as_array().cloned().unwrap_or_default();
    let rows: Vec<Vec<String>> = outputs
        .iter()
        .map(|output| {
            let values = output["data"].as_array().cloned().unwrap_or_default();
            let mut shown = values
                .iter()
                .take(VALUES_SHOWN)
                .map(text)
                .collect::<Vec<_>>()
                .join(", ");
            if values.len() > VALUES_SHOWN {
                shown += ", ...";
            }
            vec![
                text(&output["name"]),
                text(&output["datatype"]),
                output["shape"].to_string(),
                shown,
            ]
        })
        .collect();
    print(&["output", "type", "shape", "values"], &rows);
}
