//! What the trace of a task shows of its leader: how long it waited, and how long its result took to be committed.
//!
//! Promises: a task that is not sampled costs a look at its context; one that is makes a span when the thing is over, so
//! nothing is shown that did not come to pass. Leaves the commit of a submit to `intake`.

use std::collections::HashMap;
use std::time::Duration;

use lepton_domain::ids::{AttemptId, InstanceId, TaskId};
use lepton_domain::task::Task;
use lepton_telemetry::trace::{self, TraceContext};

#[cfg(test)]
mod tests;

/// Since when tasks of sampled traces could have started, by the monotonic clock. Holds what is in the queue, at most.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    since: HashMap<TaskId, Duration>,
}

impl Waits {
    /// A task has entered the queue, and may start from this moment on.
    pub fn begin(&mut self, task: &Task, eligible: Duration) {
        if sampled(task).is_some() {
            // One that was held back meanwhile has waited all the same.
            self.since.entry(task.id).or_insert(eligible);
        }
    }

    /// A task has left the queue without a start.
    pub fn forget(&mut self, task: &TaskId) {
        self.since.remove(task);
    }

    /// An attempt has been assigned: the wait is over.
    pub fn end(&mut self, task: &Task, attempt: AttemptId, worker: &InstanceId, now: Duration) {
        let Some(since) = self.since.remove(&task.id) else {
            return;
        };
        let Some(traceparent) = sampled(task) else { return };
        let span = tracing::info_span!(
            "queue wait",
            traceparent,
            messaging.message.id = %task.id,
            lepton.attempt = attempt.number,
            lepton.worker = %worker,
        );
        trace::backdate(&span, now.saturating_sub(since));
    }
}

/// An attempt's report has been committed after so long, accepted or refused.
pub(crate) fn result_commit(task: &Task, attempt: AttemptId, refused: Option<&str>, took: Duration) {
    let Some(traceparent) = sampled(task) else { return };
    let span = tracing::info_span!(
        "result commit",
        traceparent,
        messaging.message.id = %task.id,
        lepton.attempt = attempt.number,
        lepton.refused = refused,
    );
    trace::backdate(&span, took);
}

/// The context of a task's submit, where its trace is exported.
fn sampled(task: &Task) -> Option<&str> {
    let traceparent = task.traceparent.as_deref()?;
    TraceContext::parse(traceparent)
        .is_some_and(|context| context.is_sampled())
        .then_some(traceparent)
}
