//! One mesh at a time: each test runs alone, so that what it measures is its own.

use std::time::Duration;

use lepton_core::clock::Clock;
use tokio::sync::{Mutex, MutexGuard};

/// Longer than anything that has to happen; what takes that long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until no other test runs; the caller runs alone as long as the guard lives.
pub async fn exclusive() -> MutexGuard<'static, ()> {
    static RUNNING: Mutex<()> = Mutex::const_new(());
    RUNNING.lock().await
}

/// Measures how long things take.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    clock: Clock,
    started: Duration,
}

impl Watch {
    /// Starts now.
    pub fn start() -> Self {
        let clock = Clock::system();
        Self {
            clock,
            started: clock.monotonic(),
        }
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.started)
    }
}
