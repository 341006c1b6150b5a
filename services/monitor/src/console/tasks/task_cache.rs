//! Cache of open tasks, shared by all readers, so that refreshes repeat no calls.
//!
//! Promises: input and output are fetched once, and once more when the task has ended; the record of an ended task is
//! not fetched again, nor its attempts once their spans must have arrived; the number of tasks is limited.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lepton_domain::reason::ApiError;
use lepton_domain::time::Timestamp;
use lepton_proto::task::v1::Task;

use super::super::format::parse_time;
use super::super::{Console, traces};
use super::attempts::{self, Attempt};
use super::detail::is_ended;
use super::payload::Payloads;
use crate::view::MeshView;

/// Tasks cached: as many as pages are live by default ([`crate::config::Console::live_max`]).
const TASKS_MAX: usize = 64;
/// Delay before payloads that could not be fetched are requested again.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// Time after the end of a task in which spans of it may still arrive.
const SPANS_LATE_MAX: Duration = Duration::from_secs(30);

/// Cache of open tasks. Clones share it.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct TaskCache {
    tasks: Arc<Mutex<BTreeMap<String, CachedTask>>>,
}

/// Cached parts of one task.
#[derive(Debug, Default)]
struct CachedTask {
    /// Last time the task was requested.
    used: Timestamp,
    /// Task in its final state, once it has ended.
    ended: Option<Task>,
    /// Attempts, once no more of their spans can arrive.
    attempts: Option<Vec<Attempt>>,
    payloads: Option<CachedPayloads>,
}

/// Input and output with the time of the fetch.
#[derive(Debug)]
struct CachedPayloads {
    at: Timestamp,
    /// Set if the task had ended by then: an output exists only afterwards.
    ended: bool,
    payloads: Payloads,
}

impl TaskCache {
    /// Task without input and output.
    pub(super) async fn task(&self, console: &Console, view: &MeshView, id: &str) -> Result<Task, ApiError> {
        if let Some(ended) = self.with(view, id, |entry| entry.ended.clone()) {
            return Ok(ended);
        }
        let task = console.gateways.task(view, id).await?;
        if is_ended(&task) {
            self.with(view, id, |entry| entry.ended = Some(task.clone()));
        }
        Ok(task)
    }

    /// Attempts from the task's record and its trace.
    pub(super) async fn attempts(&self, console: &Console, view: &MeshView, task: &Task) -> Vec<Attempt> {
        if let Some(attempts) = self.with(view, &task.id, |entry| entry.attempts.clone()) {
            return attempts;
        }
        let trace = traces::fetch(console, view, &task.trace_id).await.ok();
        let attempts = attempts::collect(task, trace.as_ref());
        let end = task.end_time.as_ref().and_then(parse_time).filter(|_| is_ended(task));
        if end.is_some_and(|end| view.at.since(end) > SPANS_LATE_MAX) {
            self.with(view, &task.id, |entry| entry.attempts = Some(attempts.clone()));
        }
        attempts
    }

    /// Input and output.
    pub(super) async fn payloads(&self, console: &Console, view: &MeshView, task: &Task) -> Payloads {
        let ended = is_ended(task);
        let lasts =
            |it: &&CachedPayloads| it.ended == ended && (it.payloads.is_final || view.at.since(it.at) < RETRY_AFTER);
        let cached = |entry: &mut CachedTask| Some(entry.payloads.as_ref().filter(lasts)?.payloads.clone());
        if let Some(payloads) = self.with(view, &task.id, cached) {
            return payloads;
        }
        let payloads = Payloads::fetch(&console.gateways, view, task).await;
        let fetched = CachedPayloads {
            at: view.at,
            ended,
            payloads: payloads.clone(),
        };
        self.with(view, &task.id, |entry| entry.payloads = Some(fetched));
        payloads
    }

    /// Gives access to a task's entry, and evicts the least recently used one where there is no room.
    fn with<T>(&self, view: &MeshView, id: &str, use_entry: impl FnOnce(&mut CachedTask) -> T) -> T {
        let mut tasks = self.lock();
        if tasks.len() >= TASKS_MAX && !tasks.contains_key(id) {
            let oldest = tasks.iter().min_by_key(|(_, entry)| entry.used);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                tasks.remove(&oldest);
            }
        }
        let entry = tasks.entry(id.to_owned()).or_default();
        entry.used = view.at;
        use_entry(entry)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, CachedTask>> {
        // No code panics while it holds the lock; after a panic the entries would still be valid.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
