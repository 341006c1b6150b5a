//! Dispatch of a request: whether it has left this process.
//!
//! Promises: a request is dispatched or withdrawn, never both, so that one that was withdrawn has certainly not happened.
//! Leaves the fate of one that was dispatched to the leader's answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Waiting in this process.
const PENDING: u8 = 0;
/// On its way, or answered.
const DISPATCHED: u8 = 1;
/// Never to be dispatched.
const WITHDRAWN: u8 = 2;

/// State that the caller of a request and its sender share.
#[derive(Debug, Clone)]
pub struct DispatchState(Arc<AtomicU8>);

impl DispatchState {
    /// The state of a request that waits.
    pub fn new() -> Self {
        Self(Arc::new(AtomicU8::new(PENDING)))
    }

    /// Marks the request as dispatched, perhaps once more. False where it was withdrawn.
    pub fn dispatch(&self) -> bool {
        self.become_or(DISPATCHED)
    }

    /// Keeps the request from being dispatched. False where it was.
    pub fn withdraw(&self) -> bool {
        self.become_or(WITHDRAWN)
    }

    fn become_or(&self, state: u8) -> bool {
        // Relaxed: only this value matters, nothing is published with it.
        let changed = self
            .0
            .compare_exchange(PENDING, state, Ordering::Relaxed, Ordering::Relaxed);
        changed.is_ok() || changed == Err(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_dispatched_or_withdrawn() {
        let dispatched = DispatchState::new();
        assert!(dispatched.dispatch() && dispatched.dispatch() && !dispatched.withdraw());
        let withdrawn = DispatchState::new();
        assert!(withdrawn.withdraw() && withdrawn.withdraw() && !withdrawn.dispatch());
    }
}
