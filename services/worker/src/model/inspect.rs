//! A look at a file that may become a model, in a process of its own.
//!
//! Promises: the file is loaded and run once where it can harm nobody: memory, processor time, wall-clock time and files
//! are limited, and the process ends with whoever asked. However it ends, the caller is told MODEL_INVALID and why.
//! Leaves loading to the backend, and what becomes of the file to the caller.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lepton_domain::model::Signature;
use lepton_domain::reason::{Fault, Reason};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{invalid, shortened};
use verdict::Verdict;

pub mod child;
pub mod service;
#[cfg(test)]
mod tests;
mod verdict;

/// The most that is read of what the process prints.
const PRINTED_BYTES_MAX: u64 = 4 << 20;
/// Looks that wait for their turn.
const WAITING_MAX: usize = 16;
/// When a refused caller should try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What one look may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of address space.
    pub memory_bytes_max: u64,
    /// Bytes of tensors that the trial run may hold, as every later run.
    pub run_memory_bytes_max: u64,
    /// Of the processor's time. By the clock it may take twice as long, since others want the processor too.
    pub timeout: Duration,
}

/// Looks at files. Clones share the queue.
#[derive(Debug, Clone)]
pub struct Inspector {
    program: PathBuf,
    limits: Limits,
    places: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

/// What a process left behind.
#[derive(Debug)]
struct Left {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Inspector {
    /// Looks by means of this very program.
    pub fn new(limits: Limits) -> Self {
        // The link leads to the running program even when another has taken its name.
        Self::with_program("/proc/self/exe".into(), limits)
    }

    /// Looks by means of another program whose `main` calls [`child::asked`].
    pub fn with_program(program: PathBuf, limits: Limits) -> Self {
        Self {
            program,
            limits,
            places: Arc::new(Semaphore::new(WAITING_MAX)),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// What the file takes and gives. Fails with MODEL_INVALID, and with OVERLOADED when too many looks wait.
    pub async fn inspect(&self, file: Bytes) -> Result<Signature, Fault> {
        let overloaded = |_| {
            let message = "as many files wait to be looked at as may; try again shortly";
            Fault::new(Reason::Overloaded, message).retry_after(RETRY_AFTER)
        };
        let _place = self.places.try_acquire().map_err(overloaded)?;
        let closed = |_| Fault::new(Reason::InstanceDraining, "the worker is about to leave");
        // One at a time: together they would take several times the memory that one may.
        let _turn = self.turn.acquire().await.map_err(closed)?;
        let child = self.start()?;
        match timeout(self.limits.timeout * 2, attend(child, file)).await {
            Ok(Ok(left)) => self.judge(&left),
            Ok(Err(error)) => Err(broken(&error)),
            Err(_) => Err(invalid(format!(
                "it took longer to load and run than the {} s that it may",
                self.limits.timeout.as_secs() * 2
            ))),
        }
    }

    fn start(&self) -> Result<Child, Fault> {
        Command::new(&self.program)
            .arg0("lepton-worker")
            .args(child::arguments(self.limits, std::process::id()))
            // A second one for the thread that watches its parent would take much of the address space.
            .env("MALLOC_ARENA_MAX", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| broken(&error))
    }

    fn judge(&self, left: &Left) -> Result<Signature, Fault> {
        if let Some(verdict) = Verdict::parse(&left.stdout) {
            return verdict.signature().map_err(|why| self.refused(&why));
        }
        let said = String::from_utf8_lossy(&left.stderr);
        match left.status.signal() {
            Some(libc::SIGXCPU | libc::SIGKILL) => Err(invalid(format!(
                "loading and running it took longer than {} s of the processor, or more memory than there is",
                self.limits.timeout.as_secs()
            ))),
            Some(_) if said.contains("overflowed its stack") => Err(invalid("it nests too deep: the stack overflowed")),
            Some(signal) => {
                let why = invalid(format!("the backend crashed (signal {signal}): {}", said.trim()));
                Err(self.refused(&why.message))
            }
            None => {
                let message = format!(
                    "the process that looks at models ended with {}: {}",
                    left.status,
                    shortened(&said)
                );
                Err(Fault::new(Reason::Internal, message))
            }
        }
    }

    /// Backends only say that they could not allocate; how much there was, they do not know.
    fn refused(&self, why: &str) -> Fault {
        if !why.contains("failed to allocate") && !why.contains("memory allocation") {
            return Fault::new(Reason::ModelInvalid, shortened(why));
        }
        let mebibytes = self.limits.memory_bytes_max >> 20;
        let why = why.trim_start_matches("the file cannot be served: ");
        invalid(format!(
            "it takes more memory than the {mebibytes} MiB that it may: {}",
            shortened(why)
        ))
    }
}

/// Gives the process its input and waits for its end.
async fn attend(mut child: Child, file: Bytes) -> std::io::Result<Left> {
    let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let give = async {
        if let Some(mut stdin) = stdin.take() {
            // One that ends early closes its input; its end says why.
            let _ = stdin.write_all(&file).await;
        }
    };
    let ((), stdout, stderr) = tokio::join!(give, printed(stdout), printed(stderr));
    Ok(Left {
        status: child.wait().await?,
        stdout: stdout?,
        stderr: stderr?,
    })
}

async fn printed(from: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(PRINTED_BYTES_MAX).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

fn broken(error: &std::io::Error) -> Fault {
    Fault::new(
        Reason::Internal,
        format!("the process that looks at models cannot be run: {error}"),
    )
}
