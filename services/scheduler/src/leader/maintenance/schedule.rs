//! The order of maintenance: one step after the other, each behind a few appends.

use std::ops::Range;

use lepton_proto::journal::v1::SnapshotRef;

use crate::leader::commit_pipeline::WriteRequest;

#[cfg(test)]
mod tests;

/// Appends that may go before a step of maintenance.
const APPENDS_MAX: u32 = 8;

/// Present step.
#[derive(Debug, PartialEq)]
pub(super) enum Stage {
    /// Nothing to do.
    Idle,
    /// A step is under way, in the background or in the journal.
    Background,
    /// The snapshot waits to be named.
    Written(SnapshotRef),
    /// Leftovers of earlier leaders are to be dropped, then old segments.
    Leftovers,
    /// These segments are in the archive and are to be dropped.
    Archived(Range<u64>),
}

/// The present step and its turn among appends.
#[derive(Debug)]
pub(super) struct Schedule {
    stage: Stage,
    appends: u32,
    stopped: bool,
}

impl Schedule {
    /// A schedule that begins with the leftovers.
    pub fn new() -> Self {
        Self {
            stage: Stage::Leftovers,
            appends: 0,
            stopped: false,
        }
    }

    /// Lets no write begin any more.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Returns true when no step is due or under way.
    pub fn is_idle(&self) -> bool {
        self.stage == Stage::Idle
    }

    /// Goes on to this [`Stage`].
    pub fn enter(&mut self, stage: Stage) {
        self.stage = stage;
    }

    /// Counts an append, which maintenance may have waited for.
    pub fn appended(&mut self) {
        self.appends = self.appends.saturating_add(1);
    }

    /// Returns true when enough appends have gone first.
    pub fn has_waited(&self) -> bool {
        self.appends >= APPENDS_MAX
    }

    /// Takes the [`WriteRequest`] that the present step wants. Until it has finished, nothing else of maintenance
    /// begins.
    pub fn next_write(&mut self) -> Option<WriteRequest> {
        if self.stopped {
            return None;
        }
        let request = match std::mem::replace(&mut self.stage, Stage::Background) {
            Stage::Written(snapshot) => WriteRequest::Swap(snapshot),
            Stage::Leftovers => WriteRequest::Sweep,
            Stage::Archived(segments) => WriteRequest::Trim(segments),
            other => {
                self.stage = other;
                return None;
            }
        };
        self.appends = 0;
        Some(request)
    }
}
