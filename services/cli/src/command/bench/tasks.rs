//! `lepton bench tasks`: submits `echo` tasks, waits for every result, then counts in the journal.
//!
//! Promises: a closed loop, `concurrency` tasks at a time, each submitted, acknowledged and awaited; a submit of unknown
//! outcome is repeated with its request id. `lost` are acknowledged tasks without exactly one success in the journal,
//! `duplicated` those with more than one.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::StreamExt;
use lepton_domain::reason::{Fault, Reason};
use lepton_mesh::clock::Clock;
use lepton_mesh::error::{fault, is_retryable};
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
use crate::advice::{EXIT_DONE, EXIT_FAILED};
use crate::args::BenchTasks;
use crate::output::table::{print, text};

/// Loops that share a connection.
const LOOPS_PER_CHANNEL: u32 = 64;
/// How long a call is repeated while the mesh recovers from a loss.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// What the loops share.
struct Plan {
    clock: Clock,
    count: u32,
    input: prost_types::Value,
    run: String,
    next: AtomicU32,
}

/// One task's story, on the clock of this process.
struct Done {
    id: String,
    submitted: Duration,
    acknowledged: Duration,
    ended: Duration,
}

/// What was measured, as `--output json` prints it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
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
pub(in crate::command) async fn run(session: &Session, wish: &BenchTasks) -> Result<ExitCode, Fault> {
    // Losses on the way are waited out, but somebody has to be there at the start.
    session.client.get("/livez").await?;
    let clock = session.context.clock;
    let plan = Arc::new(Plan {
        clock,
        count: wish.count,
        input: input(wish.delay_ms),
        run: session.context.random.token(),
        next: AtomicU32::new(0),
    });
    let started = clock.monotonic();
    let done = drive(session, wish, &plan).await?;
    let (lost, duplicated) = count(session, &done).await?;
    let last = |of: fn(&Done) -> Duration| done.iter().map(of).max().unwrap_or(started).saturating_sub(started);
    let (acknowledged, completed) = (last(|one| one.acknowledged), last(|one| one.ended));
    let total = done.len() as f64;
    let (p50, p99) = percentiles(done.iter().map(|one| one.ended.saturating_sub(one.submitted)).collect());
    let figures = Figures {
        count: done.len(),
        concurrency: wish.concurrency,
        seconds: rounded(completed.as_secs_f64()),
        acknowledged_per_s: rounded(total / acknowledged.as_secs_f64().max(1e-9)),
        completed_per_s: rounded(total / completed.as_secs_f64().max(1e-9)),
        result_ms: Percentiles { p50, p99 },
        lost,
        duplicated,
    };
    let body = serde_json::to_vec(&figures)
        .map_err(|error| Fault::new(Reason::Internal, format!("the figures cannot be printed: {error}")))?;
    session.print(&body, |answer| {
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        print(
            &["tasks", "figure"],
            &[
                row("ended", text(&answer["count"])),
                row("seconds", text(&answer["seconds"])),
                row("acknowledged/s", text(&answer["acknowledgedPerS"])),
                row("completed/s", text(&answer["completedPerS"])),
                row("result p50 ms", text(&answer["resultMs"]["p50"])),
                row("result p99 ms", text(&answer["resultMs"]["p99"])),
                row("lost", text(&answer["lost"])),
                row("duplicated", text(&answer["duplicated"])),
            ],
        );
    })?;
    Ok(if lost + duplicated == 0 {
        EXIT_DONE
    } else {
        ExitCode::from(EXIT_FAILED)
    })
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

async fn drive(session: &Session, wish: &BenchTasks, plan: &Arc<Plan>) -> Result<Vec<Done>, Fault> {
    let mut loops = JoinSet::new();
    let mut channel = None;
    for number in 0..wish.concurrency.min(wish.count).max(1) {
        if number % LOOPS_PER_CHANNEL == 0 {
            channel = Some(session.context.net.channel(session.client.authority()));
        }
        if let Some(channel) = channel.clone() {
            loops.spawn(run_loop(TaskServiceClient::new(channel), plan.clone()));
        }
    }
    let mut done = Vec::new();
    while let Some(ended) = loops.join_next().await {
        done.extend(ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?);
    }
    Ok(done)
}

async fn run_loop(mut client: TaskServiceClient<Channel>, plan: Arc<Plan>) -> Result<Vec<Done>, Fault> {
    let mut done = Vec::new();
    loop {
        let number = plan.next.fetch_add(1, Ordering::Relaxed);
        if number >= plan.count {
            return Ok(done);
        }
        done.push(one(&mut client, &plan, number).await?);
    }
}

async fn one(client: &mut TaskServiceClient<Channel>, plan: &Plan, number: u32) -> Result<Done, Fault> {
    let submit = SubmitTaskRequest {
        kind: "echo".to_owned(),
        payload: Some(lepton_proto::task::v1::submit_task_request::Payload::Input(
            plan.input.clone(),
        )),
        request_id: format!("bench-{}-{number}", plan.run),
        ..SubmitTaskRequest::default()
    };
    let submitted = plan.clock.monotonic();
    let give_up = submitted + PATIENCE;
    let id = loop {
        match client.submit_task(submit.clone()).await {
            Ok(answer) => break answer.into_inner().task.unwrap_or_default().id,
            Err(status) => patience(plan, give_up, &status).await?,
        }
    };
    let acknowledged = plan.clock.monotonic();
    let give_up = acknowledged + PATIENCE;
    loop {
        let wait = WaitTaskRequest {
            id: id.clone(),
            timeout: None,
        };
        match client.wait_task(wait).await {
            Ok(answer)
                if answer
                    .get_ref()
                    .task
                    .as_ref()
                    .is_some_and(|task| task.end_time.is_some()) =>
            {
                break;
            }
            Ok(_not_yet) => {}
            Err(status) => patience(plan, give_up, &status).await?,
        }
    }
    Ok(Done {
        id,
        submitted,
        acknowledged,
        ended: plan.clock.monotonic(),
    })
}

/// Waits a moment before the next try, unless trying again cannot help.
async fn patience(plan: &Plan, give_up: Duration, status: &tonic::Status) -> Result<(), Fault> {
    let known = fault(status);
    let passing = is_retryable(&known) || matches!(status.code(), Code::Unavailable | Code::ResourceExhausted);
    if !passing || plan.clock.monotonic() >= give_up {
        return Err(known);
    }
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

/// Counts successes in the journal. A task whose events were trimmed is asked for instead.
async fn count(session: &Session, done: &[Done]) -> Result<(usize, usize), Fault> {
    let channel = session.context.net.channel(session.client.authority());
    let mut successes: HashMap<&str, u32> = done.iter().map(|one| (one.id.as_str(), 0)).collect();
    let mut journal = JournalServiceClient::new(channel.clone());
    let mut events = journal
        .dump_journal(DumpJournalRequest::default())
        .await
        .map_err(|status| fault(&status))?
        .into_inner();
    while let Some(event) = events.next().await {
        let event = event.map_err(|status| fault(&status))?;
        if event.event == "succeeded"
            && let Some(count) = successes.get_mut(event.task_id.as_str())
        {
            *count += 1;
        }
    }
    let mut tasks = TaskServiceClient::new(channel);
    let mut lost = 0;
    for (id, _none) in successes.iter().filter(|(_id, count)| **count == 0) {
        let answer = tasks
            .get_task(GetTaskRequest {
                id: (*id).to_owned(),
                ..Default::default()
            })
            .await
            .map_err(|status| fault(&status))?;
        let state = answer.into_inner().task.unwrap_or_default().state();
        lost += usize::from(state != State::Succeeded);
    }
    Ok((lost, successes.values().filter(|count| **count > 1).count()))
}
