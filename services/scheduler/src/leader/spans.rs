//! The leader's spans in the trace of a task: its wait in the queue, and the commit of its result.
//!
//! Promises: a task that is not sampled costs the parsing of its context; a span of one that is sampled is made when
//! the thing is over, so that nothing is shown that did not come to pass. Leaves the commit of a submit to `intake`.

use std::collections::HashMap;
use std::time::Duration;

use lepton_domain::ids::{AttemptId, InstanceId, TaskId};
use lepton_domain::ledger::Ledger;
use lepton_domain::reason::Reason;
use lepton_domain::task::Task;
use lepton_telemetry::trace::{self, KeyValue, TraceContext};

use super::clock::Now;
use super::release::SettledReport;

#[cfg(test)]
mod tests;

/// Moments since which tasks of sampled traces could have started, by the monotonic clock. No larger than the queue.
#[derive(Debug, Default)]
pub(crate) struct QueueWaits {
    since: HashMap<TaskId, Duration>,
}

impl QueueWaits {
    /// Begins the wait of a [`Task`] that has entered the queue, and may start from this moment on.
    pub fn begin(&mut self, task: &Task, eligible: Duration) {
        if sampled(task).is_some() {
            // One that was held back meanwhile has waited all the same.
            self.since.entry(task.id).or_insert(eligible);
        }
    }

    /// Forgets a task that has left the queue without a start.
    pub fn forget(&mut self, task: &TaskId) {
        self.since.remove(task);
    }

    /// Ends the wait of a task whose attempt has been assigned, and makes its span.
    pub fn end(&mut self, task: &Task, attempt: AttemptId, worker: &InstanceId, now: Duration) {
        let Some(since) = self.since.remove(&task.id) else {
            return;
        };
        let Some(parent) = sampled(task) else { return };
        let attributes = vec![
            KeyValue::new("messaging.message.id", task.id.to_string()),
            KeyValue::new("lepton.attempt", i64::from(attempt.number)),
            KeyValue::new("lepton.worker", worker.to_string()),
        ];
        trace::record("queue wait", &parent, now.saturating_sub(since), attributes);
    }
}

/// Makes the span of a [`SettledReport`] that has committed, accepted or refused.
pub(super) fn report_committed(ledger: &Ledger, report: &SettledReport, now: Now) {
    let Some(task) = ledger.task(&report.attempt.task) else {
        return;
    };
    let Some(parent) = sampled(task) else { return };
    let mut attributes = vec![
        KeyValue::new("messaging.message.id", task.id.to_string()),
        KeyValue::new("lepton.attempt", i64::from(report.attempt.number)),
    ];
    let refused = report.refused.map(Reason::as_str);
    attributes.extend(refused.map(|reason| KeyValue::new("lepton.refused", reason)));
    let took = now.monotonic.saturating_sub(report.reported);
    trace::record("result commit", &parent, took, attributes);
}

/// [W3C trace context](https://www.w3.org/TR/trace-context/) of a task's submit, if its trace is sampled.
fn sampled(task: &Task) -> Option<TraceContext> {
    TraceContext::parse(task.traceparent.as_deref()?).filter(TraceContext::is_sampled)
}
