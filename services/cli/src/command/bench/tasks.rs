//! `lepton bench tasks`: submits `echo` tasks, waits for every result, then counts in the journal.
//!
//! Promises: a closed loop, `concurrency` tasks at a time, each submitted, acknowledged and awaited; a submit of unknown
//! outcome is repeated with its request id. `lost` are acknowledged tasks without a success in the journal, `duplicated`
//! those with more than one. A task that is gone, or does not end while no other does either, is abandoned; then the count
//! decides.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use lepton_core::clock::Clock;
use lepton_core::error::{from_status, is_retryable};
use lepton_domain::reason::{ApiError, Reason};
use lepton_proto::cluster::v1::DumpJournalRequest;
use lepton_proto::cluster::v1::journal_service_client::JournalServiceClient;
use lepton_proto::task::v1::task_service_client::TaskServiceClient;
use lepton_proto::task::v1::{GetTaskRequest, State, SubmitTaskRequest, WaitTaskRequest};
use serde::Serialize;
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::Channel;

use super::super::Session;
use super::{percentiles, rounded};
use crate::advice::{DONE, EXIT_FAILED};
use crate::args::BenchTasks;
use crate::client::unwritable;
use crate::client::within;
use crate::output::table::{render, text};

/// Loops that share a connection.
const LOOPS_PER_CHANNEL: u32 = 64;
/// Longest recovery of the mesh from a loss: calls are repeated that long, and a task may end that late.
const RECOVERY_MAX: Duration = Duration::from_secs(60);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// State that the loops share.
struct SharedLoad {
    clock: Clock,
    count: u32,
    input: prost_types::Value,
    delay: Duration,
    run: String,
    next: AtomicU32,
    /// The time at which a task last ended, milliseconds: a task that only waits its turn is not lost.
    moved_ms: AtomicU64,
}

impl SharedLoad {
    fn new(session: &Session, args: &BenchTasks) -> Self {
        Self {
            clock: session.context.clock,
            count: args.count,
            input: input(args.delay_ms),
            delay: Duration::from_millis(args.delay_ms.into()),
            run: session.context.random.token(),
            next: AtomicU32::new(0),
            moved_ms: AtomicU64::new(0),
        }
    }

    fn moved(&self, now: Duration) {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.fetch_max(now, Ordering::Relaxed);
    }

    /// Returns true once a task that was acknowledged then counts as lost.
    fn is_hopeless(&self, acknowledged: Duration, now: Duration) -> bool {
        let moved = Duration::from_millis(self.moved_ms.load(Ordering::Relaxed));
        now >= moved.max(acknowledged) + self.delay + RECOVERY_MAX
    }
}

/// Times of one task, on the [`Clock`] of this process.
struct TaskTiming {
    id: String,
    submitted: Duration,
    acknowledged: Duration,
    /// Absent when it was abandoned.
    ended: Option<Duration>,
}

/// The figures, as `--output json` prints them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskReport {
    count: usize,
    concurrency: u32,
    seconds: f64,
    acknowledged_per_s: f64,
    completed_per_s: f64,
    result_ms: Percentiles,
    lost: usize,
    duplicated: usize,
}

#[derive(Serialize)]
struct Percentiles {
    p50: f64,
    p99: f64,
}

/// Measures, prints, and fails when a task was lost or doubled.
pub(in crate::command) async fn run(session: &Session, args: &BenchTasks) -> Result<ExitCode, ApiError> {
    // Losses on the way are waited out, but somebody has to be there at the start.
    session.client.get("/livez").await?;
    let clock = session.context.clock;
    let load = Arc::new(SharedLoad::new(session, args));
    let started = clock.monotonic();
    let done = drive(session, args, &load).await?;
    let (lost, duplicated) = count(session, &done).await?;
    let last = |of: fn(&TaskTiming) -> Option<Duration>| {
        let last = done.iter().filter_map(of).max();
        last.unwrap_or(started).saturating_sub(started)
    };
    let (acknowledged, completed) = (last(|one| Some(one.acknowledged)), last(|one| one.ended));
    let took = |one: &TaskTiming| Some(one.ended?.saturating_sub(one.submitted));
    let took: Vec<Duration> = done.iter().filter_map(took).collect();
    let (total, ended) = (done.len() as f64, took.len() as f64);
    let (p50, p99) = percentiles(took);
    let figures = TaskReport {
        count: done.len(),
        concurrency: args.concurrency,
        seconds: rounded(completed.as_secs_f64()),
        acknowledged_per_s: rounded(total / acknowledged.as_secs_f64().max(1e-9)),
        completed_per_s: rounded(ended / completed.as_secs_f64().max(1e-9)),
        result_ms: Percentiles { p50, p99 },
        lost,
        duplicated,
    };
    let body = serde_json::to_vec(&figures).map_err(unwritable)?;
    let code = if lost + duplicated == 0 { DONE } else { EXIT_FAILED };
    session.conclude(&body, code, table)
}

fn table(answer: &serde_json::Value) -> String {
    let row = |name: &str, value: &serde_json::Value| vec![name.to_owned(), text(value)];
    render(
        &["tasks", "figure"],
        &[
            row("acknowledged", &answer["count"]),
            row("seconds", &answer["seconds"]),
            row("acknowledged/s", &answer["acknowledgedPerS"]),
            row("completed/s", &answer["completedPerS"]),
            row("result p50 ms", &answer["resultMs"]["p50"]),
            row("result p99 ms", &answer["resultMs"]["p99"]),
            row("lost", &answer["lost"]),
            row("duplicated", &answer["duplicated"]),
        ],
    )
}

fn input(delay_ms: u32) -> prost_types::Value {
    let number = |value: u32| prost_types::Value {
        kind: Some(prost_types::value::Kind::NumberValue(f64::from(value))),
    };
    let fields = [("delay_ms".to_owned(), number(delay_ms))].into();
    prost_types::Value {
        kind: Some(prost_types::value::Kind::StructValue(prost_types::Struct { fields })),
    }
}

async fn drive(session: &Session, args: &BenchTasks, load: &Arc<SharedLoad>) -> Result<Vec<TaskTiming>, ApiError> {
    let mut loops = JoinSet::new();
    let mut channel = None;
    for number in 0..args.concurrency.min(args.count).max(1) {
        if number % LOOPS_PER_CHANNEL == 0 {
            channel = Some(session.context.net.channel(session.client.authority()));
        }
        if let Some(channel) = channel.clone() {
            loops.spawn(run_loop(TaskServiceClient::new(channel), load.clone()));
        }
    }
    let mut done = Vec::new();
    while let Some(ended) = loops.join_next().await {
        done.extend(ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?);
    }
    Ok(done)
}

async fn run_loop(mut client: TaskServiceClient<Channel>, load: Arc<SharedLoad>) -> Result<Vec<TaskTiming>, ApiError> {
    let mut done = Vec::new();
    loop {
        let number = load.next.fetch_add(1, Ordering::Relaxed);
        if number >= load.count {
            return Ok(done);
        }
        done.push(one(&mut client, &load, number).await?);
    }
}

async fn one(client: &mut TaskServiceClient<Channel>, load: &SharedLoad, number: u32) -> Result<TaskTiming, ApiError> {
    let submit = SubmitTaskRequest {
        kind: "echo".to_owned(),
        payload: Some(lepton_proto::task::v1::submit_task_request::Payload::Input(
            load.input.clone(),
        )),
        request_id: format!("bench-{}-{number}", load.run),
        ..SubmitTaskRequest::default()
    };
    let submitted = load.clock.monotonic();
    let deadline = submitted + RECOVERY_MAX;
    let id = loop {
        match client.submit_task(within(submit.clone())).await {
            Ok(answer) => break answer.into_inner().task.unwrap_or_default().id,
            Err(status) => back_off(load, deadline, &status).await?,
        }
    };
    let acknowledged = load.clock.monotonic();
    let ended = end(client, load, &id, acknowledged).await?;
    Ok(TaskTiming {
        id,
        submitted,
        acknowledged,
        ended,
    })
}

/// Waits for a task's end; there is none for one that is abandoned.
async fn end(
    client: &mut TaskServiceClient<Channel>,
    load: &SharedLoad,
    id: &str,
    acknowledged: Duration,
) -> Result<Option<Duration>, ApiError> {
    let deadline = acknowledged + RECOVERY_MAX;
    while !load.is_hopeless(acknowledged, load.clock.monotonic()) {
        let wait = WaitTaskRequest {
            id: id.to_owned(),
            timeout: None,
        };
        match client.wait_task(within(wait)).await {
            Ok(answer) => {
                let task = answer.into_inner().task.unwrap_or_default();
                if task.end_time.is_some() {
                    let now = load.clock.monotonic();
                    load.moved(now);
                    return Ok(Some(now));
                }
            }
            Err(status) if from_status(&status).reason == Reason::TaskNotFound => tokio::time::sleep(PAUSE).await,
            Err(status) => back_off(load, deadline, &status).await?,
        }
    }
    Ok(None)
}

/// Waits a moment before the next try, unless trying again cannot help.
async fn back_off(load: &SharedLoad, deadline: Duration, status: &tonic::Status) -> Result<(), ApiError> {
    let error = from_status(status);
    let passing = is_retryable(&error) || matches!(status.code(), Code::Unavailable | Code::ResourceExhausted);
    if !passing || load.clock.monotonic() >= deadline {
        return Err(error);
    }
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

/// Counts lost and duplicated tasks in the journal. A task whose events were trimmed is read instead.
async fn count(session: &Session, done: &[TaskTiming]) -> Result<(usize, usize), ApiError> {
    let channel = session.context.net.channel(session.client.authority());
    let mut successes: HashMap<&str, u32> = done.iter().map(|one| (one.id.as_str(), 0)).collect();
    let mut journal = JournalServiceClient::new(channel.clone());
    let mut events = journal
        .dump_journal(DumpJournalRequest::default())
        .await
        .map_err(|status| from_status(&status))?
        .into_inner();
    while let Some(event) = events.next().await {
        let event = event.map_err(|status| from_status(&status))?;
        if event.event == "succeeded"
            && let Some(count) = successes.get_mut(event.task_id.as_str())
        {
            *count += 1;
        }
    }
    let mut tasks = TaskServiceClient::new(channel);
    let mut lost = 0;
    for (id, _none) in successes.iter().filter(|(_id, count)| **count == 0) {
        let request = GetTaskRequest {
            id: (*id).to_owned(),
            ..GetTaskRequest::default()
        };
        let answer = tasks.get_task(within(request)).await;
        let succeeded = match answer.map_err(|status| from_status(&status)) {
            Ok(answer) => answer.into_inner().task.unwrap_or_default().state() == State::Succeeded,
            Err(error) if error.reason == Reason::TaskNotFound => false,
            Err(error) => return Err(error),
        };
        lost += usize::from(!succeeded);
    }
    Ok((lost, successes.values().filter(|count| **count > 1).count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_does_not_end_while_nothing_ends_is_hopeless() {
        let load = SharedLoad {
            clock: Clock::system(),
            count: 1,
            input: input(1_000),
            delay: Duration::from_secs(1),
            run: String::new(),
            next: AtomicU32::new(0),
            moved_ms: AtomicU64::new(0),
        };
        let second = Duration::from_secs;
        assert!(!load.is_hopeless(second(10), second(70)));
        assert!(load.is_hopeless(second(10), second(71)));
        load.moved(second(60));
        assert!(!load.is_hopeless(second(10), second(120)));
        assert!(load.is_hopeless(second(10), second(121)));
    }
}
