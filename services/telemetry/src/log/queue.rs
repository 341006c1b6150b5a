//! Lines on their way to stderr.
//!
//! Promises: whoever logs never waits for whoever reads: lines wait within a bound, further ones are dropped and counted,
//! and the number of lost lines is logged once lines flow again. Leaves the thread and the channel to
//! `tracing-appender`, whose bound is in lines and whose count nobody could wait for; and the form of a line to `line`.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lepton_core::metrics::{Counter, Metrics};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

#[cfg(test)]
mod tests;

/// Bytes of lines that may wait.
const WAITING_BYTES_MAX: usize = 2 << 20;
/// Lines that may wait.
const WAITING_LINES_MAX: usize = 8_192;

/// Takes lines. Clones share the queue.
#[derive(Clone)]
pub(crate) struct Lines {
    writer: NonBlocking,
    backlog: Arc<Backlog>,
    /// Ends the thread with the last clone.
    _thread: Arc<WorkerGuard>,
}

/// Lines that wait to be written.
struct Backlog {
    state: Mutex<State>,
    /// Notified when a line has been written.
    written: Condvar,
    dropped: Counter,
}

#[derive(Default)]
struct State {
    lines: usize,
    bytes: usize,
    /// Lines that were dropped since this was last reported.
    unreported: u64,
}

impl Lines {
    /// Starts the thread that writes. `report` is called in it when lines flow again, with how many were dropped.
    pub fn start(
        writer: impl Write + Send + 'static,
        metrics: &Metrics,
        report: impl Fn(u64) + Send + 'static,
    ) -> Self {
        let help = "Log lines that were dropped as nobody read them";
        let backlog = Arc::new(Backlog {
            state: Mutex::default(),
            written: Condvar::new(),
            dropped: metrics.counter("lepton_telemetry_log_lines_dropped_total", help, &[]),
        });
        let drain = Drain {
            writer,
            backlog: backlog.clone(),
            report,
        };
        let builder = NonBlockingBuilder::default()
            .lossy(true)
            .thread_name("log")
            // One more for the message that ends the thread.
            .buffered_lines_limit(WAITING_LINES_MAX + 1);
        let (writer, thread) = builder.finish(drain);
        Self {
            writer,
            backlog,
            _thread: Arc::new(thread),
        }
    }

    /// Takes a line, or drops it.
    pub fn push(&self, line: &str) {
        let mut state = self.backlog.lock();
        if state.bytes + line.len() > WAITING_BYTES_MAX || state.lines >= WAITING_LINES_MAX {
            state.unreported += 1;
            self.backlog.dropped.inc();
            return;
        }
        state.bytes += line.len();
        state.lines += 1;
        // In the lock, so that lines come out in the order in which they were counted. There is room, so it never fails.
        let _ = self.writer.clone().write_all(line.as_bytes());
    }

    /// Waits until everything is written, for this long at most: it may be that nobody reads.
    pub fn flush(&self, timeout: Duration) {
        let (backlog, is_busy) = (&self.backlog, |state: &mut State| state.lines > 0);
        // What is not written by then is lost with the process.
        let _ = backlog.written.wait_timeout_while(backlog.lock(), timeout, is_busy);
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Lines")
    }
}

impl Backlog {
    /// Notes that a line is written; returns how many were dropped, if lines flow again.
    fn note(&self, bytes: usize) -> u64 {
        let mut state = self.lock();
        state.lines = state.lines.saturating_sub(1);
        state.bytes = state.bytes.saturating_sub(bytes);
        // While others wait, more may be dropped.
        let unreported = match state.lines {
            0 => std::mem::take(&mut state.unreported),
            _ => 0,
        };
        drop(state);
        self.written.notify_all();
        unreported
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nobody panics with it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of the queue, in the appender's thread: one call a line.
struct Drain<W, R> {
    writer: W,
    backlog: Arc<Backlog>,
    report: R,
}

impl<W: Write, R: Fn(u64)> Write for Drain<W, R> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A closed stderr must not end a service.
        let _ = self.writer.write_all(line);
        let unreported = self.backlog.note(line.len());
        if unreported > 0 {
            (self.report)(unreported);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
