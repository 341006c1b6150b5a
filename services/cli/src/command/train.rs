//! `lepton train FILE`: uploads the rows, trains on them as a durable task, and shows what came of it.
//!
//! Promises: the training goes on when this program is stopped; the uploaded rows go when it has ended, or was refused.

use std::process::ExitCode;

use futures::StreamExt;
use lepton_domain::reason::{Code, Fault, Reason};
use serde_json::{Map, Value, json};

use super::Session;
use super::task::{follow, unfinished, with_request_id};
use crate::advice::{EXIT_DONE, EXIT_FAILED, fail};
use crate::args::model::Train;
use crate::client::{escape, read_json};
use crate::output::line;
use crate::output::progress::Bar;
use crate::output::table::{print, text};

/// Trains.
pub(super) async fn run(session: &Session, wish: &Train) -> Result<ExitCode, Fault> {
    let content = std::fs::read(&wish.file)
        .map_err(|error| Fault::new(Reason::FileUnreadable, format!("{}: {error}", wish.file.display())))?;
    let uploaded = read_json(&session.client.post("/api/v1/blobs", content).await?)?;
    let blob = text(&uploaded["blob"]);
    let submitted = submit(session, wish, &blob).await;
    if submitted.as_ref().is_err_and(is_refusal) {
        forget(session, &blob).await;
    }
    let ended = watch(session, submitted?).await;
    // What may still run needs its rows.
    if ended.as_ref().is_ok_and(|task| task["endTime"].is_string()) {
        forget(session, &blob).await;
    }
    let task = ended?;
    if task["state"] != "STATE_SUCCEEDED" {
        return Ok(refused(session, &task));
    }
    session.print(task["output"].to_string().as_bytes(), show)?;
    Ok(EXIT_DONE)
}

async fn submit(session: &Session, wish: &Train, blob: &str) -> Result<Value, Fault> {
    let request_id = format!("cli-{}", session.context.random.token());
    let body = json!({ "kind": "train", "input": input(wish, blob), "requestId": request_id });
    let answer = session.client.post("/api/v1/tasks", body.to_string()).await;
    read_json(&answer.map_err(|fault| with_request_id(fault, &request_id))?)
}

/// Whether there is certainly no task: the request was looked at and turned down.
fn is_refusal(fault: &Fault) -> bool {
    matches!(
        fault.code(),
        Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::ResourceExhausted
    )
}

/// Deletes the uploaded rows.
async fn forget(session: &Session, blob: &str) {
    if let Err(fault) = session.client.delete(&format!("/api/v1/blobs/{}", escape(blob))).await {
        tracing::debug!(%fault, blob, "the uploaded rows stay");
    }
}

/// Follows the task to its end.
async fn watch(session: &Session, task: Value) -> Result<Value, Fault> {
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

/// The input of the task. What was not said is left out, so that the mesh's defaults hold.
fn input(wish: &Train, blob: &str) -> Value {
    let mut input = Map::from_iter([
        ("blob".to_owned(), json!(blob)),
        ("target".to_owned(), json!(wish.target)),
        ("method".to_owned(), json!(wish.method.as_str())),
    ]);
    let mut add = |name: &str, value: Option<Value>| {
        input.extend(value.map(|value| (name.to_owned(), value)));
    };
    add("features", (!wish.features.is_empty()).then(|| json!(wish.features)));
    add("learningRate", wish.learning_rate.map(|rate| json!(rate)));
    add("epochs", wish.epochs.map(|epochs| json!(epochs)));
    add("tolerance", wish.tolerance.map(|tolerance| json!(tolerance)));
    add("testShare", wish.test_share.map(|share| json!(share)));
    add("seed", wish.seed.map(|seed| json!(seed)));
    add("model", wish.model.as_ref().map(|model| json!(model)));
    add("deploy", wish.deploy.then_some(json!(true)));
    Value::Object(input)
}

fn refused(session: &Session, task: &Value) -> ExitCode {
    if session.format == crate::args::Format::Json {
        line(&task.to_string());
    }
    let error = &task["error"];
    let reason = text(&error["reason"]).parse().unwrap_or(Reason::HandlerFailed);
    let message = match error {
        Value::Null => format!("task {} ended as {}", text(&task["id"]), text(&task["state"])),
        error => text(&error["message"]),
    };
    let _exit_code_of_the_reason = fail(&Fault::new(reason, message));
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
