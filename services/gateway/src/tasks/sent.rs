//! Whether a request has left this process.
//!
//! Promises: a request leaves or is withdrawn, never both, so that what was withdrawn has certainly not happened. Leaves
//! what became of one that left to the leader's answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// It waits here.
const HERE: u8 = 0;
/// It is on its way, or was.
const LEFT: u8 = 1;
/// It will never leave.
const WITHDRAWN: u8 = 2;

/// Shared by who asks and who sends.
#[derive(Debug, Clone)]
pub struct Sent(Arc<AtomicU8>);

impl Sent {
    /// Not yet.
    pub fn no() -> Self {
        Self(Arc::new(AtomicU8::new(HERE)))
    }

    /// Notes that it leaves now, perhaps once more; says whether it may.
    pub fn leave(&self) -> bool {
        self.become_or(LEFT)
    }

    /// Keeps it from leaving; says whether it has not left yet.
    pub fn withdraw(&self) -> bool {
        self.become_or(WITHDRAWN)
    }

    fn become_or(&self, state: u8) -> bool {
        // Relaxed: only this value matters, nothing is published with it.
        let changed = self
            .0
            .compare_exchange(HERE, state, Ordering::Relaxed, Ordering::Relaxed);
        changed.is_ok() || changed == Err(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_leaves_or_is_withdrawn() {
        let left = Sent::no();
        assert!(left.leave() && left.leave() && !left.withdraw());
        let withdrawn = Sent::no();
        assert!(withdrawn.withdraw() && withdrawn.withdraw() && !withdrawn.leave());
    }
}
