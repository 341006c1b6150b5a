//! Lines on their way to stderr.
//!
//! Promises: whoever says something never waits for whoever reads it: lines wait within a bound, further ones are dropped
//! and counted, and it is said how many once lines flow again. One thread writes. Leaves the form of a line to `line`.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lepton_core::metrics::{Counter, Metrics};

#[cfg(test)]
mod tests;

/// How many bytes of lines may wait: some ten thousand lines.
const WAITING_BYTES_MAX: usize = 2 << 20;

/// Takes lines. Clones share the queue.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told of each change.
    changed: Condvar,
    dropped: Counter,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<String>,
    /// Of those that wait.
    bytes: usize,
    /// Whether a line is being written.
    writing: bool,
    /// Lines that were dropped since this was last said.
    untold: u64,
}

impl Lines {
    /// Starts the thread that writes. `tell` is called in it when lines flow again, with how many were dropped.
    pub fn start(
        mut writer: impl Write + Send + 'static,
        metrics: &Metrics,
        tell: impl Fn(u64) + Send + 'static,
    ) -> Self {
        let help = "Log lines that were dropped as nobody read them";
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            dropped: metrics.counter("lepton_telemetry_log_lines_dropped_total", help, &[]),
        });
        let lines = Self { shared: shared.clone() };
        let write = move || {
            loop {
                let line = shared.next();
                // A closed stderr must not end a service.
                let _ = writer.write_all(line.as_bytes());
                let untold = shared.written();
                if untold > 0 {
                    tell(untold);
                }
            }
        };
        // Without a thread the lines are dropped and counted: telling never fails a service.
        let _ = std::thread::Builder::new().name("log".to_owned()).spawn(write);
        lines
    }

    /// Takes a line, or drops it.
    pub fn push(&self, line: String) {
        let mut state = self.shared.lock();
        if state.bytes + line.len() > WAITING_BYTES_MAX {
            state.untold += 1;
            self.shared.dropped.inc();
            return;
        }
        state.bytes += line.len();
        state.waiting.push_back(line);
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Waits until everything is written, for this long at most: it may be that nobody reads.
    pub fn flush(&self, patience: Duration) {
        let busy = |state: &mut State| state.writing || !state.waiting.is_empty();
        // What is not written by then is lost with the process.
        let _ = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), patience, busy);
    }
}

impl Shared {
    /// Waits for a line.
    fn next(&self) -> String {
        let mut state = self.lock();
        loop {
            if let Some(line) = state.waiting.pop_front() {
                state.bytes -= line.len();
                state.writing = true;
                return line;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Notes that the line is written; gives how many were dropped, if lines flow again.
    fn written(&self) -> u64 {
        let mut state = self.lock();
        state.writing = false;
        // While others wait, more may be dropped.
        let flows = state.waiting.is_empty();
        let untold = if flows { std::mem::take(&mut state.untold) } else { 0 };
        drop(state);
        self.changed.notify_all();
        untold
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nobody panics with it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
