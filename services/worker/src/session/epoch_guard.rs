//! Guard against leaders that have been replaced.
//!
//! Promises: within an incarnation of the cluster only epochs as high as the highest one welcomed are followed, so that
//! a deposed leader that does not know it yet gets nothing done here. Leaves the use of the mark to the leader.

use lepton_journal::high_water_mark::keep_further;
use lepton_proto::journal::v1::Mark;
use lepton_proto::worker::v1::Welcome;

#[cfg(test)]
mod tests;

/// A leader that has been replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("STALE_EPOCH: a leader of epoch {offered}, but {known} has been seen")]
pub(super) struct StaleEpoch {
    /// The leader's epoch.
    pub(super) offered: u64,
    /// The highest epoch seen.
    pub(super) known: u64,
}

/// The highest epoch and the furthest mark that a worker has seen.
#[derive(Debug, Default)]
pub(super) struct EpochGuard {
    mark: Mark,
    epoch: u64,
}

impl EpochGuard {
    /// The furthest position in the journal seen.
    pub(super) fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Admits a leader by its welcome, or refuses it. A refused leader changes nothing here.
    pub(super) fn admit(&mut self, welcome: &Welcome) -> Result<(), StaleEpoch> {
        let none = Mark::default();
        let mark = welcome.mark.as_ref().unwrap_or(&none);
        // Epochs compare only within an incarnation. A new one is made when a person has accepted a loss.
        if mark.incarnation == self.mark.incarnation && welcome.epoch < self.epoch {
            return Err(StaleEpoch {
                offered: welcome.epoch,
                known: self.epoch,
            });
        }
        self.epoch = welcome.epoch;
        self.advance(mark);
        Ok(())
    }

    /// Advances to a mark of the admitted leader; an earlier one changes nothing.
    pub(super) fn advance(&mut self, mark: &Mark) {
        if !mark.incarnation.is_empty() {
            keep_further(&mut self.mark, mark);
        }
    }
}
