//! Which leaders a worker has seen, and how far.
//!
//! Promises: within an incarnation of the cluster only epochs as high as the highest one welcomed are followed, so that
//! a deposed leader that does not know it yet gets nothing done here. Leaves what a leader makes of the mark to it.

use lepton_journal::high_water_mark::advance_to;
use lepton_proto::journal::v1::Mark;
use lepton_proto::worker::v1::Welcome;

/// A leader that has been replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("STALE_EPOCH: a leader of epoch {offered}, but {known} has been seen")]
pub struct Stale {
    /// The leader's epoch.
    pub offered: u64,
    /// The highest epoch seen.
    pub known: u64,
}

/// What a worker remembers of its leaders.
#[derive(Debug, Default)]
pub(super) struct Standing {
    mark: Mark,
    epoch: u64,
}

impl Standing {
    /// How far the journal has been seen.
    pub(super) fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Takes a leader's welcome, or refuses it.
    pub(super) fn welcome(&mut self, welcome: &Welcome) -> Result<(), Stale> {
        let none = Mark::default();
        let mark = welcome.mark.as_ref().unwrap_or(&none);
        // Epochs compare only within an incarnation. A new one is made when a person has accepted a loss.
        if mark.incarnation == self.mark.incarnation && welcome.epoch < self.epoch {
            return Err(Stale {
                offered: welcome.epoch,
                known: self.epoch,
            });
        }
        self.epoch = welcome.epoch;
        self.seen(mark);
        Ok(())
    }

    /// The leader told how far it is.
    pub(super) fn seen(&mut self, mark: &Mark) {
        if !mark.incarnation.is_empty() {
            advance_to(&mut self.mark, mark);
        }
    }
}
