//! `lepton train FILE`: uploads the rows, trains on them as a durable task, and shows the result.
//!
//! Promises: the training goes on when this program is stopped; the uploaded rows are deleted when it has ended, or was refused.

use std::process::ExitCode;

use futures::StreamExt;
use lepton_domain::reason::{ApiError, Code, Reason};
use serde_json::{Map, Value, json};

use super::Session;
use super::task::{follow, unfinished, with_request_id};
use crate::advice::{EXIT_DONE, EXIT_FAILED, fail};
use crate::args::model::Train;
use crate::client::{escape, read_json};
use crate::input::{self, Content};
use crate::output::line;
use crate::output::progress::Bar;
use crate::output::table::{print, text};

/// Trains.
pub(super) async fn run(session: &Session, args: &Train) -> Result<ExitCode, ApiError> {
    let upload = upload(input::content(&args.file)?)?;
    let uploaded = read_json(&session.client.post("/api/v1/blobs", upload).await?)?;
    let blob = text(&uploaded["blob"]);
    let submitted = submit(session, args, &blob).await;
    if submitted.as_ref().is_err_and(is_refusal) {
        delete_upload(session, &blob).await;
    }
    let ended = watch(session, submitted?).await;
    // What may still run needs its rows.
    if ended.as_ref().is_ok_and(|task| task["endTime"].is_string()) {
        delete_upload(session, &blob).await;
    }
    let task = ended?;
    if task["state"] != "STATE_SUCCEEDED" {
        return Ok(report_failure(session, &task));
    }
    session.print(task["output"].to_string().as_bytes(), show)?;
    Ok(EXIT_DONE)
}

/// The rows of a [`Content`] in a form that the mesh reads from an upload: CSV, or JSON.
fn upload(content: Content) -> Result<String, ApiError> {
    match content {
        Content::Delimited(table) => table.into_csv(),
        Content::Rows(rows) => Ok(String::from(Box::<str>::from(rows))),
        Content::Object(object) => Ok(object.text),
    }
}

async fn submit(session: &Session, args: &Train, blob: &str) -> Result<Value, ApiError> {
    let request_id = format!("cli-{}", session.context.random.token());
    let body = json!({ "kind": "train", "input": input(args, blob), "requestId": request_id });
    let answer = session.client.post("/api/v1/tasks", body.to_string()).await;
    read_json(&answer.map_err(|error| with_request_id(error, &request_id))?)
}

/// Returns true if there is certainly no task, because the request was refused.
fn is_refusal(error: &ApiError) -> bool {
    matches!(
        error.code(),
        Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::ResourceExhausted
    )
}

/// Deletes the uploaded rows.
async fn delete_upload(session: &Session, blob: &str) {
    if let Err(error) = session.client.delete(&format!("/api/v1/blobs/{}", escape(blob))).await {
        tracing::debug!(%error, blob, "the uploaded rows stay");
    }
}

/// Follows the task to its end.
async fn watch(session: &Session, task: Value) -> Result<Value, ApiError> {
    let id = text(&task["id"]);
    let bar = Bar::share("training");
    let mut events = std::pin::pin!(follow(session, &id).await?);
    let mut last = task;
    while let Some(data) = events.next().await {
        last = read_json(data?.as_bytes())?;
        let progress = &last["progress"];
        if let Some(fraction) = progress["fraction"].as_f64() {
            let loss = text(&progress["figures"]["loss"]);
            bar.at(
                fraction,
                if loss.is_empty() {
                    "training".to_owned()
                } else {
                    format!("loss {loss}")
                },
            );
        }
    }
    if last["endTime"].is_string() {
        Ok(last)
    } else {
        Err(unfinished(&id))
    }
}

/// The input of the task. Absent options are left out, so that the mesh's defaults hold.
fn input(args: &Train, blob: &str) -> Value {
    let mut input = Map::from_iter([
        ("blob".to_owned(), json!(blob)),
        ("target".to_owned(), json!(args.target)),
        ("method".to_owned(), json!(args.method.as_str())),
    ]);
    let mut add = |name: &str, value: Option<Value>| {
        input.extend(value.map(|value| (name.to_owned(), value)));
    };
    add("features", (!args.features.is_empty()).then(|| json!(args.features)));
    add("learningRate", args.learning_rate.map(|rate| json!(rate)));
    add("epochs", args.epochs.map(|epochs| json!(epochs)));
    add("tolerance", args.tolerance.map(|tolerance| json!(tolerance)));
    add("testShare", args.test_share.map(|share| json!(share)));
    add("seed", args.seed.map(|seed| json!(seed)));
    add("model", args.model.as_ref().map(|model| json!(model)));
    add("deploy", args.deploy.then_some(json!(true)));
    Value::Object(input)
}

fn report_failure(session: &Session, task: &Value) -> ExitCode {
    if session.format == crate::args::Format::Json {
        line(&task.to_string());
    }
    let error = &task["error"];
    let reason = text(&error["reason"]).parse().unwrap_or(Reason::HandlerFailed);
    let message = match error {
        Value::Null => format!("task {} ended as {}", text(&task["id"]), text(&task["state"])),
        error => text(&error["message"]),
    };
    let _exit_code_of_the_reason = fail(&ApiError::new(reason, message));
    ExitCode::from(EXIT_FAILED)
}

fn show(output: &Value) {
    let model = &output["model"];
    let name = text(&model["name"]);
    let kept = if name.is_empty() {
        String::new()
    } else {
        format!(", kept as {name} version {}", text(&model["version"]))
    };
    line(&format!("trained on {} rows{kept}", text(&output["rowCount"])));
    let metrics = &output["metrics"];
    let sets: Vec<Vec<String>> = ["train", "test"]
        .iter()
        .filter(|set| metrics[**set].is_object())
        .map(|set| {
            let figures = ["r2", "mse", "mae"].map(|name| text(&metrics[*set][name]));
            std::iter::once((*set).to_owned()).chain(figures).collect()
        })
        .collect();
    print(&["rows", "r2", "mse", "mae"], &sets);
    let intercept = ("intercept".to_owned(), output["intercept"].clone());
    let coefficients = output["coefficients"].as_object().cloned().unwrap_or_default();
    let terms: Vec<Vec<String>> = std::iter::once(intercept)
        .chain(coefficients)
        .map(|(name, value)| vec![name, text(&value)])
        .collect();
    line("");
    print(&["term", "coefficient"], &terms);
}
