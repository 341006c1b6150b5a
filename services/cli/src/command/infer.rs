//! `lepton infer MODEL`: runs a deployed model on rows, each of which gets a prediction, or on tensors.

use lepton_domain::reason::{ApiError, Reason};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Session;
use crate::args::model::Infer;
use crate::client::escape;
use crate::input::{self, Content};
use crate::output::line;
use crate::output::table::{print, text};

/// Values of a tensor that are shown; all of them come with `--output json`.
const VALUES_SHOWN: usize = 16;

mod grpc;

/// Runs the model.
pub(super) async fn run(session: &Session, args: &Infer) -> Result<(), ApiError> {
    let object = match input::content(&args.input)? {
        Content::Delimited(table) => return predict(session, args, &table.rows()?).await,
        Content::Rows(rows) => return predict(session, args, &rows).await,
        Content::Object(object) => object,
    };
    if args.grpc {
        let answer = grpc::call(session, args, &object.text).await?;
        return session.print(answer.as_bytes(), tensors);
    }
    let version = args.version.map(|version| format!("/versions/{version}"));
    let path = format!(
        "/v2/models/{}{}/infer",
        escape(&args.model),
        version.unwrap_or_default()
    );
    let body = session.client.post(&path, object.text).await?;
    session.print(&body, tensors)
}

/// Asks for a prediction a row.
async fn predict(session: &Session, args: &Infer, rows: &RawValue) -> Result<(), ApiError> {
    let message = match args {
        Infer { version: Some(_), .. } => "rows are answered by the deployed version; send tensors to name another",
        Infer { grpc: true, .. } => "rows go over REST; send tensors with --grpc",
        _ => "",
    };
    if !message.is_empty() {
        return Err(ApiError::new(Reason::ConfigInvalid, message));
    }
    let body = format!(
        r#"{{"data":{},"model":{}}}"#,
        rows.get(),
        Value::from(args.model.as_str())
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
