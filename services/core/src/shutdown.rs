//! The wish to stop, as a value that is handed down.
//!
//! Promises: once triggered it stays triggered, and every clone and child sees it. Leaves draining to whoever listens.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a program that a second Ctrl-C ends: 128 + SIGINT.
const EXIT_INTERRUPTED: i32 = 130;

/// Signals tasks to finish and end; see [`Shutdown::triggered`].
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
}

impl Shutdown {
    /// One that nobody has triggered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Triggered by SIGTERM or SIGINT. A second SIGINT ends the process at once, for someone who will not wait; a
    /// first one beside a SIGTERM, as some supervisors send, does not. Call it inside a runtime, once per process; it
    /// fails when the system refuses a signal handler.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::new();
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(listen(terminate, interrupt, shutdown.clone()));
        Ok(shutdown)
    }

    /// Triggers it, for every clone and child.
    pub fn trigger(&self) {
        self.token.cancel();
    }

    /// Waits until it is triggered.
    pub async fn triggered(&self) {
        self.token.cancelled().await;
    }

    /// Returns whether it has been triggered.
    pub fn is_triggered(&self) -> bool {
        self.token.is_cancelled()
    }

    /// One that is triggered with this one, or alone.
    pub fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
        }
    }
}

/// Lives as long as the process: it also serves the impatient second Ctrl-C.
async fn listen(mut terminate: Signal, mut interrupt: Signal, shutdown: Shutdown) {
    let mut interrupted = false;
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {
                if interrupted {
                    std::process::exit(EXIT_INTERRUPTED);
                }
                interrupted = true;
            }
        }
        shutdown.trigger();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_stops_alone_or_with_its_parent() {
        let parent = Shutdown::new();
        let (first, second) = (parent.child(), parent.child());
        first.trigger();
        first.triggered().await;
        assert!(!parent.is_triggered() && !second.is_triggered());
        parent.clone().trigger();
        second.triggered().await;
        assert!(parent.is_triggered());
    }
}
