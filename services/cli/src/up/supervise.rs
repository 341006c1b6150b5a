//! Workers as child processes: started, restarted when they die, and ended with the mesh.
//!
//! Promises: a worker that dies is started again, after [`PAUSE_MIN`] the first time and then after growing pauses; a child never
//! outlives this process; when the mesh ends, workers drain first and are killed only when they do not end in time.

use std::process::Stdio;
use std::time::Duration;

use lepton_core::backoff::Backoff;
use lepton_core::clock::Clock;
use lepton_core::shutdown::Shutdown;
use lepton_mesh::config::is_setting;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::plan::WorkerCommand;

/// The name of a worker's process, and the first word of its command line.
pub const WORKER: &str = "lepton-worker";
/// The pause before the first restart; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A worker that lived this long has recovered: the pauses start over.
const STEADY_AFTER: Duration = Duration::from_secs(10);
/// Longest drain of a worker.
const DRAIN_MAX: Duration = Duration::from_secs(32);

/// Keeps one worker running until the mesh ends.
pub(super) async fn supervise(number: u32, command: WorkerCommand, clock: Clock, shutdown: Shutdown) {
    let (mut backoff, mut pause) = (Backoff::new(PAUSE_MIN, PAUSE_MAX), Duration::ZERO);
    while !shutdown.is_triggered() {
        tokio::select! {
            () = shutdown.triggered() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let started = clock.monotonic();
        match spawn(&command) {
            Ok(mut child) => {
                tokio::select! {
                    () = shutdown.triggered() => return end(child).await,
                    status = child.wait() => match status {
                        Ok(status) => tracing::warn!(worker = number, %status, "a worker died; another takes its place"),
                        Err(error) => tracing::warn!(worker = number, %error, "a worker cannot be watched"),
                    },
                }
            }
            Err(error) => tracing::error!(worker = number, %error, "a worker cannot be started"),
        }
        if clock.monotonic().saturating_sub(started) >= STEADY_AFTER {
            backoff.reset();
        }
        pause = backoff.delay();
    }
}

/// Starts this same program under the name [`WORKER`]. Settings of other services in its environment would be errors to it.
fn spawn(worker: &WorkerCommand) -> std::io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    let inherited = std::env::vars_os().map(|(name, _)| name);
    for setting in inherited.filter(|name| name.to_str().is_some_and(is_setting)) {
        command.env_remove(setting);
    }
    command
        .arg0(WORKER)
        .args(&worker.arguments)
        .envs(&worker.variables)
        .arg("--parent")
        .arg(std::process::id().to_string())
        // A terminal sends Ctrl-C to a whole group: a worker has to go on until the gateway has drained.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

/// Lets a worker drain, and kills it after [`DRAIN_MAX`].
async fn end(mut child: Child) {
    let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    let Some(pid) = pid else { return };
    // The child has not been waited for, so the number still names it.
    let sent = kill_process(pid, Signal::TERM);
    if sent.is_ok() && tokio::time::timeout(DRAIN_MAX, child.wait()).await.is_ok() {
        return;
    }
    let pid = pid.as_raw_nonzero();
    tracing::warn!(pid, "a worker did not end in time and is killed");
    if let Err(error) = child.kill().await {
        tracing::warn!(pid, %error, "a worker cannot be killed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_a_worker_is_steady() {
        let mut backoff = Backoff::new(PAUSE_MIN, PAUSE_MAX);
        let pauses: Vec<u128> = (0..9).map(|_| backoff.delay().as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        backoff.reset();
        assert_eq!(backoff.delay(), PAUSE_MIN);
    }
}
