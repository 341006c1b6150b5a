//! Lists, counts, and what is done to many tasks at once.

use std::process::ExitCode;

use lepton_domain::reason::{ApiError, Reason};
use lepton_mesh::config::duration;
use lepton_proto::convert::time::timestamp;
use serde_json::{Map, Value, json};

use super::super::Session;
use super::{path, rows, show, with_request_id};
use crate::advice::{EXIT_DONE, EXIT_FAILED};
use crate::args::Chosen;
use crate::args::filters::TaskFilters;
use crate::client::{escape, read_json};
use crate::output::line;
use crate::output::table::{more, render, text};

/// Fields of a request, by their names in JSON.
type Fields = Vec<(&'static str, String)>;

/// The fields of [`TaskFilters`].
fn fields(session: &Session, filters: TaskFilters) -> Result<Fields, ApiError> {
    let mut fields = Fields::new();
    let state = filters.state.map(|state| match state.to_uppercase() {
        full if full.starts_with("STATE_") => full,
        short => format!("STATE_{short}"),
    });
    fields.extend(filters.label.into_iter().map(|label| ("label", label)));
    let texts = [
        ("state", state),
        ("kind", filters.kind),
        ("reason", filters.reason),
        ("worker", filters.worker),
        ("requestId", filters.request_id),
        (
            "createdAfter",
            filters.since.map(|when| time(session, &when)).transpose()?,
        ),
        (
            "createdBefore",
            filters.until.map(|when| time(session, &when)).transpose()?,
        ),
    ];
    fields.extend(texts.into_iter().filter_map(|(name, value)| Some((name, value?))));
    Ok(fields)
}

/// A time in RFC 3339, which may be given as the time since then.
fn time(session: &Session, when: &str) -> Result<String, ApiError> {
    if let Some(ago) = duration::parse(when) {
        let now = session.context.clock.now();
        return Ok(timestamp(now.minus(ago)).to_string());
    }
    let parsed: Result<prost_types::Timestamp, _> = when.parse();
    parsed.map(|time| time.to_string()).map_err(|_| {
        let message =
            format!("{when:?} is no time; write so long ago, as 90m or 24h, or a time, as 2026-11-30T08:00:00Z");
        ApiError::new(Reason::ConfigInvalid, message)
    })
}

/// Fields as a query.
fn query(fields: &Fields) -> String {
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", escape(value)))
        .collect();
    pairs.join("&")
}

/// Fields as a body.
fn body(fields: Fields) -> String {
    let (labels, fields): (Fields, Fields) = fields.into_iter().partition(|(name, _)| *name == "label");
    let mut body: Map<String, Value> = fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    if !labels.is_empty() {
        let labels: Vec<String> = labels.into_iter().map(|(_, label)| label).collect();
        body.insert("label".to_owned(), json!(labels));
    }
    Value::Object(body).to_string()
}

/// Selection of a list.
pub(super) struct Page {
    pub filters: TaskFilters,
    pub oldest_first: bool,
    pub limit: u32,
    pub token: Option<String>,
}

/// Shows a page.
pub(super) async fn list(session: &Session, page: Page) -> Result<ExitCode, ApiError> {
    let mut fields = fields(session, page.filters)?;
    fields.push(("pageSize", page.limit.to_string()));
    fields.extend(page.oldest_first.then(|| ("order", "asc".to_owned())));
    fields.extend(page.token.map(|token| ("pageToken", token)));
    let body = session.client.get(&format!("/api/v1/tasks?{}", query(&fields))).await?;
    session.print(&body, |answer| {
        line(&rows(answer["tasks"].as_array().map(Vec::as_slice).unwrap_or_default()));
        more(answer);
    })?;
    Ok(EXIT_DONE)
}

/// Shows numbers of tasks.
pub(super) async fn count(session: &Session, filters: TaskFilters) -> Result<ExitCode, ApiError> {
    let fields = fields(session, filters)?;
    let body = session
        .client
        .get(&format!("/api/v1/tasks:count?{}", query(&fields)))
        .await?;
    session.print(&body, |answer| {
        let counts = answer["counts"].as_object().cloned().unwrap_or_default();
        let row = |(state, count): (&String, &Value)| {
            let state = state.trim_start_matches("STATE_").to_lowercase();
            vec![state, text(count)]
        };
        line(&render(
            &["state", "tasks"],
            &counts.iter().map(row).collect::<Vec<_>>(),
        ));
    })?;
    Ok(EXIT_DONE)
}

/// Cancels tasks and shows them, or all that fit and shows how many.
pub(super) async fn cancel(session: &Session, chosen: Chosen) -> Result<ExitCode, ApiError> {
    if let Some(fields) = by_filter(session, &chosen)? {
        return batch(session, ":batchCancel", fields, "cancelled").await;
    }
    let mut code = EXIT_DONE;
    for id in &chosen.ids {
        code = show(session, &session.client.post(&path(id, ":cancel"), "{}").await?)?;
    }
    Ok(code)
}

/// Runs tasks again, one after the other, and shows the new ones, or all that fit and shows how many.
pub(super) async fn retry(session: &Session, chosen: Chosen) -> Result<ExitCode, ApiError> {
    if let Some(fields) = by_filter(session, &chosen)? {
        return batch(session, ":batchRetry", fields, "retried").await;
    }
    for id in &chosen.ids {
        let request_id = format!("cli-{}", session.context.random.token());
        let body = json!({ "requestId": request_id }).to_string();
        let retried = session.client.post(&path(id, ":retry"), body).await;
        let task = retried.map_err(|error| with_request_id(error, &request_id).with("task", id))?;
        show(session, &task)?;
    }
    Ok(EXIT_DONE)
}

/// Deletes the records of all that fit and shows how many.
pub(super) async fn purge(session: &Session, filters: TaskFilters) -> Result<ExitCode, ApiError> {
    batch(session, ":purge", fields(session, filters)?, "purged").await
}

/// The fields of the filters, where no ids are given.
fn by_filter(session: &Session, chosen: &Chosen) -> Result<Option<Fields>, ApiError> {
    let wrong = |message| Err(ApiError::new(Reason::ConfigInvalid, message));
    match (chosen.ids.is_empty(), chosen.filters == TaskFilters::default()) {
        (false, true) => Ok(None),
        (true, false) => fields(session, chosen.filters.clone()).map(Some),
        (true, true) => wrong("no task is named; give ids, or filters such as --state and --kind"),
        (false, false) => wrong("ids and filters are given; give one of them"),
    }
}

/// Goes on with a call until it has reached every task that fits, and shows the sums of what it did.
async fn batch(session: &Session, verb: &str, fields: Fields, done: &str) -> Result<ExitCode, ApiError> {
    let mut sums = Map::new();
    let (mut failures, mut token) = (Vec::new(), String::new());
    loop {
        let mut fields = fields.clone();
        fields.extend((!token.is_empty()).then(|| ("pageToken", token.clone())));
        let answer = session
            .client
            .post(&format!("/api/v1/tasks{verb}"), body(fields))
            .await?;
        let answer = read_json(&answer)?;
        for name in [done, "retained", "failed"] {
            let Some(number) = answer[name].as_u64() else { continue };
            let before = sums.get(name).and_then(Value::as_u64).unwrap_or_default();
            sums.insert(name.to_owned(), (before + number).into());
        }
        let failed = answer["failures"].as_array().cloned().unwrap_or_default();
        let stuck = !failed.is_empty();
        failures.extend(failed);
        token = text(&answer["nextPageToken"]);
        // What fails now fails again at once: whoever called decides.
        if stuck || token.is_empty() {
            break;
        }
    }
    sums.insert("failures".to_owned(), failures.into());
    sums.insert("nextPageToken".to_owned(), token.into());
    let body = Value::Object(sums).to_string();
    session.print(body.as_bytes(), |answer| {
        let named = [done, "retained", "failed"]
            .into_iter()
            .filter(|name| answer[*name].is_u64());
        let told: Vec<String> = named.map(|name| format!("{} {name}", answer[name])).collect();
        line(&told.join(", "));
        for failure in answer["failures"].as_array().into_iter().flatten() {
            line(&format!(
                "{}: {}",
                text(&failure["id"]),
                text(&failure["error"]["message"])
            ));
        }
        if answer["nextPageToken"] != "" {
            line("more are left: mend this and run it again");
        }
    })?;
    let failed = read_json(body.as_bytes())?["failed"].as_u64().unwrap_or_default() > 0;
    Ok(if failed { EXIT_FAILED.into() } else { EXIT_DONE })
}
