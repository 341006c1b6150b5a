//! Validation of a file that may become a model, in a process of its own.
//!
//! Promises: the file is loaded and run once where it can harm nobody: memory, processor time, wall-clock time and files
//! are limited, and the process ends with its parent. However it ends, the caller gets a [`ValidationError`] that names
//! the reason. Leaves loading to the [`Backend`](super::Backend), and the file's fate to the caller.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lepton_domain::model::Signature;
use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::shortened;
use verdict::Verdict;

pub(crate) mod child;
#[cfg(test)]
mod tests;
mod verdict;

/// The most that is read of a process's output.
const PRINTED_BYTES_MAX: u64 = 4 << 20;
/// Validations that wait for their turn.
const WAITING_MAX: usize = 16;
/// Signal of a process that has used up its processor time, RLIMIT_CPU's soft limit.
const SIGXCPU: i32 = Signal::XCPU.as_raw();
/// Signal of the kernel's out-of-memory killer, and of RLIMIT_CPU's hard limit.
const SIGKILL: i32 = Signal::KILL.as_raw();

/// Limits of one [`Sandbox::validate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SandboxLimits {
    /// Bytes of address space.
    pub(crate) memory_bytes_max: u64,
    /// Bytes of tensors that the trial run may hold, as every later run.
    pub(crate) run_memory_bytes_max: u64,
    /// Processor time. By the clock it may take twice as long, since others want the processor too.
    pub(crate) timeout: Duration,
}

/// Validates files. Clones share the queue.
#[derive(Debug, Clone)]
pub(crate) struct Sandbox {
    program: PathBuf,
    limits: SandboxLimits,
    queue: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

/// A file for which [`Sandbox::validate`] has no signature.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ValidationError {
    /// A file that the backend refused.
    #[error("{0}")]
    Refused(String),
    /// A file whose loading or running broke a limit.
    #[error("the file cannot be served: {0}")]
    Unsupported(String),
    /// Too many validations.
    #[error("as many files wait to be validated as may; try again shortly")]
    Busy,
    /// A worker that is about to leave.
    #[error("the worker is about to leave")]
    Draining,
    /// A blob store that is not open yet.
    #[error("this worker has not opened the blob store yet; try again shortly")]
    BlobStoreClosed,
    /// A process that could not be started or read.
    #[error("the process that validates models cannot be run: {0}")]
    Process(#[from] std::io::Error),
    /// A process that ended by itself without a verdict.
    #[error("the process that validates models ended with {status}: {stderr}")]
    NoVerdict { status: ExitStatus, stderr: String },
}

impl ValidationError {
    /// Time after which a refused caller should try again.
    pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

    fn unsupported(problem: impl Into<String>) -> Self {
        Self::Unsupported(problem.into())
    }
}

/// Output of a process that has ended.
#[derive(Debug)]
struct ChildOutput {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Sandbox {
    /// A sandbox that starts this very program.
    pub(crate) fn new(limits: SandboxLimits) -> Self {
        // The link leads to the running program even when another has taken its name.
        Self::with_program("/proc/self/exe".into(), limits)
    }

    /// A sandbox that starts another program, whose `main` calls [`child::run_if_requested`].
    fn with_program(program: PathBuf, limits: SandboxLimits) -> Self {
        Self {
            program,
            limits,
            queue: Arc::new(Semaphore::new(WAITING_MAX)),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Validates a file and returns its signature.
    pub(crate) async fn validate(&self, file: Bytes) -> Result<Signature, ValidationError> {
        let _place = self.queue.try_acquire().map_err(|_| ValidationError::Busy)?;
        // One at a time: together they would take several times the memory that one may.
        let _turn = self.turn.acquire().await.map_err(|_| ValidationError::Draining)?;
        let child = self.start()?;
        match timeout(self.limits.timeout * 2, communicate(child, file)).await {
            Ok(output) => self.judge(&output?),
            Err(_) => Err(ValidationError::unsupported(format!(
                "it took longer to load and run than the {} s that it may",
                self.limits.timeout.as_secs() * 2
            ))),
        }
    }

    fn start(&self) -> std::io::Result<Child> {
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
    }

    fn judge(&self, output: &ChildOutput) -> Result<Signature, ValidationError> {
        if let Some(verdict) = Verdict::parse(&output.stdout) {
            return verdict.signature().map_err(|reason| self.refused(&reason));
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        match output.status.signal() {
            Some(SIGXCPU | SIGKILL) => Err(ValidationError::unsupported(format!(
                "loading and running it took longer than {} s of the processor, or more memory than there is",
                self.limits.timeout.as_secs()
            ))),
            Some(_) if stderr.contains("overflowed its stack") => {
                Err(ValidationError::unsupported("it nests too deep: the stack overflowed"))
            }
            Some(signal) => {
                let crashed = format!("the backend crashed (signal {signal}): {}", stderr.trim());
                Err(self.refused(&ValidationError::Unsupported(crashed).to_string()))
            }
            None => Err(ValidationError::NoVerdict {
                status: output.status,
                stderr: shortened(&stderr),
            }),
        }
    }

    /// The error of a refused file. Backends only report that an allocation failed; the limit is known here.
    fn refused(&self, reason: &str) -> ValidationError {
        if !reason.contains("failed to allocate") && !reason.contains("memory allocation") {
            return ValidationError::Refused(shortened(reason));
        }
        let mebibytes = self.limits.memory_bytes_max >> 20;
        let reason = reason.trim_start_matches("the file cannot be served: ");
        ValidationError::unsupported(format!(
            "it takes more memory than the {mebibytes} MiB that it may: {}",
            shortened(reason)
        ))
    }
}

/// Gives the process its input and waits for its end.
async fn communicate(mut child: Child, file: Bytes) -> std::io::Result<ChildOutput> {
    let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let give = async {
        if let Some(mut stdin) = stdin.take() {
            // One that ends early closes its input; its end says why.
            let _ = stdin.write_all(&file).await;
        }
    };
    let ((), stdout, stderr) = tokio::join!(give, printed(stdout), printed(stderr));
    Ok(ChildOutput {
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
