//! Where failed attempts left their traces, so that a retry can link to the one before.
//!
//! Promises: bounded; the oldest go first. A retry on another worker finds nothing here, which is fine: it shares the
//! submitter's trace.

use std::collections::{HashMap, VecDeque};

use lepton_domain::ids::{AttemptId, TaskId};

/// How many tasks are remembered.
const KEPT: usize = 1_024;

/// The trace contexts of the last failed attempts.
#[derive(Debug, Default)]
pub(super) struct Trail {
    traces: HashMap<TaskId, (u32, String)>,
    order: VecDeque<TaskId>,
}

impl Trail {
    /// Remembers a failed attempt.
    pub(super) fn leave(&mut self, attempt: AttemptId, trace: String) {
        if self.traces.insert(attempt.task, (attempt.number, trace)).is_none() {
            self.order.push_back(attempt.task);
        }
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.traces.remove(&oldest);
        }
    }

    /// The trace context of an earlier attempt at the same task.
    pub(super) fn before(&self, attempt: AttemptId) -> Option<String> {
        let (number, trace) = self.traces.get(&attempt.task)?;
        (*number < attempt.number).then(|| trace.clone())
    }
}
