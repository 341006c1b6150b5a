//! `lepton task`: submit tasks and follow them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use futures::{Stream, StreamExt};
use lepton_domain::reason::{ApiError, Reason};
use lepton_mesh::config::duration;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Session;
use crate::advice::{DONE, EXIT_DONE, EXIT_FAILED, EXIT_UNAVAILABLE};
use crate::args::{Format, Submit, Task};
use crate::client::{escape, read_json, unwritable};
use crate::input;
use crate::output::cells::{cut, plain};
use crate::output::line;
use crate::output::table::{render, text};

mod many;

/// Runs one of them.
pub(super) async fn run(session: &Session, args: Task) -> Result<ExitCode, ApiError> {
    match args {
        Task::Submit(submit) => submitted(session, submit).await,
        Task::Get { id } => show(session, &session.client.get(&path(&id, "")).await?),
        Task::List {
            filters,
            oldest_first,
            limit,
            page_token: token,
        } => {
            let page = many::Page {
                filters,
                oldest_first,
                limit,
                token,
            };
            many::list(session, page).await
        }
        Task::Count { filters } => many::count(session, filters).await,
        Task::Watch { id } => watch(session, &id).await,
        Task::Wait { id, timeout } => wait(session, &id, &timeout).await,
        Task::Cancel(chosen) => many::cancel(session, chosen).await,
        Task::Retry(chosen) => many::retry(session, chosen).await,
        Task::Purge { filters } => many::purge(session, filters).await,
        Task::Attempts { id } => attempts(session, &id).await,
        Task::Delete { id } => {
            session.client.delete(&path(&id, "")).await?;
            line(&format!("task {id} is deleted"));
            Ok(EXIT_DONE)
        }
    }
}

fn path(id: &str, verb: &str) -> String {
    format!("/api/v1/tasks/{}{verb}", escape(id))
}

async fn submitted(session: &Session, submit: Submit) -> Result<ExitCode, ApiError> {
    let mut body: BTreeMap<&'static str, Value> = BTreeMap::from([("kind", json!(submit.kind))]);
    // The id is chosen here, so that a submit of unknown outcome can be repeated by hand.
    let request_id = submit
        .request_id
        .unwrap_or_else(|| format!("cli-{}", session.context.random.token()));
    body.insert("requestId", json!(request_id));
    body.extend(submit.priority.map(|priority| ("priority", json!(priority))));
    if let Some(timeout) = &submit.timeout {
        body.insert("timeout", json!(seconds(read_duration(timeout)?)));
    }
    body.extend(
        submit
            .max_attempts
            .map(|attempts| ("retry", json!({ "maxAttempts": attempts }))),
    );
    // The input goes along as written: reading it into numbers here could lose digits.
    let input = payload(&submit.input)?;
    let body = serde_json::to_string(&Request {
        input: &input,
        options: body,
    })
    .map_err(unwritable)?;
    let answer = session
        .client
        .post("/api/v1/tasks", body)
        .await
        .map_err(|api_error| with_request_id(api_error, &request_id))?;
    if submit.wait {
        let id = text(&read_json(&answer)?["id"]);
        return wait(session, &id, "1h").await;
    }
    show(session, &answer)
}

/// The body of a submit.
#[derive(Serialize)]
struct Request<'a> {
    input: &'a RawValue,
    #[serde(flatten)]
    options: BTreeMap<&'static str, Value>,
}

/// A duration as REST wants it.
fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}

/// A duration such as `500ms` or `1h`.
fn read_duration(text: &str) -> Result<Duration, ApiError> {
    let wrong = || {
        ApiError::new(
            Reason::ConfigInvalid,
            format!("{text:?} is no duration; write it as 500ms, 30s, 5m or 1h"),
        )
    };
    duration::parse(text).ok_or_else(wrong)
}

pub(super) fn with_request_id(mut error: ApiError, request_id: &str) -> ApiError {
    if error.reason == Reason::OutcomeUnknown {
        error.message = format!("{} (request id {request_id})", error.message);
    }
    error
}

/// The input as JSON text.
fn payload(argument: &str) -> Result<Box<RawValue>, ApiError> {
    let written = match argument.strip_prefix('@') {
        // As in curl and grpcurl, where `@` stands before a file and `-` for standard input.
        Some("") => input::text(Path::new("-"))?,
        Some(file) => input::text(Path::new(file))?,
        None if argument == "-" => input::text(Path::new("-"))?,
        None => argument.to_owned(),
    };
    serde_json::from_str(&written)
        .map_err(|error| ApiError::new(Reason::InvalidJson, format!("the input is not JSON: {error}")))
}

fn show(session: &Session, body: &[u8]) -> Result<ExitCode, ApiError> {
    session.conclude(body, DONE, |task| rows(std::slice::from_ref(task)))
}

fn rows(tasks: &[Value]) -> String {
    let row = |task: &Value| {
        let outcome = match &task["error"] {
            Value::Null => shortened(&task["output"]),
            error => format!("{}: {}", text(&error["reason"]), text(&error["message"])),
        };
        vec![
            text(&task["id"]),
            text(&task["kind"]),
            state(task),
            text(&task["attempts"]),
            text(&task["createTime"]),
            outcome,
        ]
    };
    render(
        &["id", "kind", "state", "attempts", "created", "outcome"],
        &tasks.iter().map(row).collect::<Vec<_>>(),
    )
}

fn state(task: &Value) -> String {
    text(&task["state"]).trim_start_matches("STATE_").to_lowercase()
}

/// A value on one line; the whole of it comes with `--output json`.
fn shortened(value: &Value) -> String {
    const CELLS_MAX: usize = 63;
    match value {
        Value::Null => String::new(),
        value => cut(&plain(&value.to_string()), CELLS_MAX, "..."),
    }
}

async fn wait(session: &Session, id: &str, timeout: &str) -> Result<ExitCode, ApiError> {
    let timeout = read_duration(timeout)?;
    let path = format!("{}?timeout={}", path(id, ":wait"), seconds(timeout));
    let body = session.client.get_after(&path, timeout).await?;
    let code = match state(&read_json(&body)?).as_str() {
        "succeeded" => DONE,
        "blocked" | "pending" | "running" => EXIT_UNAVAILABLE,
        _ => EXIT_FAILED,
    };
    session.conclude(&body, code, |task| rows(std::slice::from_ref(task)))
}

async fn attempts(session: &Session, id: &str) -> Result<ExitCode, ApiError> {
    let body = session.client.get(&path(id, "/attempts")).await?;
    let row = |attempt: &Value| {
        let error = match &attempt["error"] {
            Value::Null => String::new(),
            error => format!("{}: {}", text(&error["reason"]), text(&error["message"])),
        };
        let state = text(&attempt["state"]);
        vec![
            text(&attempt["number"]),
            text(&attempt["worker"]),
            state.trim_start_matches("ATTEMPT_STATE_").to_lowercase(),
            text(&attempt["startTime"]),
            text(&attempt["endTime"]),
            error,
        ]
    };
    session.print(&body, |answer| {
        let attempts = answer["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
        let rows: Vec<_> = attempts.iter().map(row).collect();
        line(&render(
            &["attempt", "worker", "state", "started", "ended", "error"],
            &rows,
        ));
    })?;
    Ok(EXIT_DONE)
}

/// The task at each of its changes; ends after the task has.
pub(super) async fn follow(
    session: &Session,
    id: &str,
) -> Result<impl Stream<Item = Result<String, ApiError>> + use<>, ApiError> {
    session.client.events(&path(id, ":watch")).await
}

/// The stream ended before the task did.
pub(super) fn unfinished(id: &str) -> ApiError {
    let message = format!("the gateway stopped before task {id} ended; watch it again");
    ApiError::new(Reason::OutcomeUnknown, message)
}

/// Prints each event of the stream.
async fn watch(session: &Session, id: &str) -> Result<ExitCode, ApiError> {
    let mut events = std::pin::pin!(follow(session, id).await?);
    let mut ended = false;
    while let Some(data) = events.next().await {
        let data = data?;
        event(session, &data)?;
        ended = read_json(data.as_bytes())?["endTime"].is_string();
    }
    if !ended {
        return Err(unfinished(id));
    }
    Ok(EXIT_DONE)
}

fn event(session: &Session, data: &str) -> Result<(), ApiError> {
    if session.format == Format::Json {
        line(data);
        return Ok(());
    }
    let task = read_json(data.as_bytes())?;
    let version = &task["version"];
    let position = format!("{}-{}", text(&version["epoch"]), text(&version["seq"]));
    line(&format!(
        "{position:<14} {:<10} attempts {}  {}",
        state(&task),
        text(&task["attempts"]),
        shortened(&task["output"])
    ));
    Ok(())
}
