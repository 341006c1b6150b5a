//! What is known of the tasks that somebody has open, so that no refresh asks for it again.
//!
//! Promises: input and output are fetched once, and once more when the task has ended; an ended task is not asked for
//! again, and its attempts no longer than their spans may take to arrive; so many tasks are remembered and no more.
//! Everyone who has a task open shares what is known of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lepton_domain::reason::Fault;
use lepton_domain::time::Timestamp;
use lepton_proto::task::v1::Task;

use super::super::figure::read;
use super::super::{Console, traces};
use super::attempts::{self, Attempt};
use super::detail::is_ended;
use super::payload::Payloads;
use crate::view::View;

/// Tasks that are remembered: as many as there are open pages by default.
const TASKS_MAX: usize = 64;
/// When to ask again for payloads that could not be had.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// How long after the end of a task spans of it may arrive.
const SPANS_LATE_MAX: Duration = Duration::from_secs(30);

/// The memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Known {
    tasks: Arc<Mutex<BTreeMap<String, Entry>>>,
}

/// What is known of one task.
#[derive(Debug, Default)]
struct Entry {
    /// When it was looked at last.
    used: Timestamp,
    /// The task, once it has ended: nothing of it changes any more.
    ended: Option<Task>,
    /// Its attempts, once nothing more of them can arrive.
    attempts: Option<Vec<Attempt>>,
    payloads: Option<Fetched>,
}

/// Input and output, and when they were fetched.
#[derive(Debug)]
struct Fetched {
    at: Timestamp,
    /// Whether the task had ended: an output comes with the end.
    ended: bool,
    payloads: Payloads,
}

impl Known {
    /// The task without input and output.
    pub(super) async fn task(&self, console: &Console, view: &View, id: &str) -> Result<Task, Fault> {
        if let Some(ended) = self.with(view, id, |entry| entry.ended.clone()) {
            return Ok(ended);
        }
        let task = console.gateways.task(view, id).await?;
        if is_ended(&task) {
            self.with(view, id, |entry| entry.ended = Some(task.clone()));
        }
        Ok(task)
    }

    /// Its attempts, as its record and its trace have them.
    pub(super) async fn attempts(&self, console: &Console, view: &View, task: &Task) -> Vec<Attempt> {
        if let Some(known) = self.with(view, &task.id, |entry| entry.attempts.clone()) {
            return known;
        }
        let trace = traces::find(console, view, &task.trace_id).await.ok();
        let attempts = attempts::of(task, trace.as_ref());
        let end = task.end_time.as_ref().and_then(read).filter(|_| is_ended(task));
        if end.is_some_and(|end| view.at.since(end) > SPANS_LATE_MAX) {
            self.with(view, &task.id, |entry| entry.attempts = Some(attempts.clone()));
        }
        attempts
    }

    /// Its input and output.
    pub(super) async fn payloads(&self, console: &Console, view: &View, task: &Task) -> Payloads {
        let ended = is_ended(task);
        let lasts = |it: &&Fetched| it.ended == ended && (it.payloads.is_final || view.at.since(it.at) < RETRY_AFTER);
        let known = |entry: &mut Entry| Some(entry.payloads.as_ref().filter(lasts)?.payloads.clone());
        if let Some(known) = self.with(view, &task.id, known) {
            return known;
        }
        let payloads = Payloads::fetch(&console.gateways, view, task).await;
        let fetched = Fetched {
            at: view.at,
            ended,
            payloads: payloads.clone(),
        };
        self.with(view, &task.id, |entry| entry.payloads = Some(fetched));
        payloads
    }

    /// Looks at what is known of a task, and forgets the one that nobody has looked at for the longest time.
    fn with<T>(&self, view: &View, id: &str, look: impl FnOnce(&mut Entry) -> T) -> T {
        let mut tasks = self.lock();
        if tasks.len() >= TASKS_MAX && !tasks.contains_key(id) {
            let oldest = tasks.iter().min_by_key(|(_, entry)| entry.used);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                tasks.remove(&oldest);
            }
        }
        let entry = tasks.entry(id.to_owned()).or_default();
        entry.used = view.at;
        look(entry)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        // Nobody panics with it: if somebody did, what is in it would still be true.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
