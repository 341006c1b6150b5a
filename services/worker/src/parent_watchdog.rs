//! Watchdog over the parent process, for a worker that was started as a child.
//!
//! Promises: notices the parent's death within a quarter of a second, however it died, `kill -9` included, and also if it
//! had died before the first check. Polls the parent's id, since an orphan gets another parent; the kernel's own signal
//! (`PR_SET_PDEATHSIG`) comes when the *thread* that started the child ends, which may be long before.

use std::time::Duration;

/// Interval of the checks: one system call each.
const CHECK_EVERY: Duration = Duration::from_millis(200);

/// Completes when `parent_pid` is no longer the parent of this process; never for 0.
pub(crate) async fn parent_gone(parent_pid: u32) {
    if parent_pid == 0 {
        std::future::pending::<()>().await;
    }
    while std::os::unix::process::parent_id() == parent_pid {
        tokio::time::sleep(CHECK_EVERY).await;
    }
}

/// Ends this process from a thread of its own soon after `parent_pid` has ended; for a process without a runtime.
pub(crate) fn exit_with_parent(parent_pid: u32) -> std::io::Result<()> {
    /// Stack of the thread, which does next to nothing: the process may have little address space.
    const STACK_BYTES: usize = 64 << 10;
    let watch = move || {
        while std::os::unix::process::parent_id() == parent_pid {
            std::thread::sleep(CHECK_EVERY);
        }
        std::process::exit(1);
    };
    std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(watch)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_another_parent_ends_the_wait() {
        let waits = |pid| async move { timeout(Duration::from_secs(5), parent_gone(pid)).await.is_err() };
        assert!(waits(0).await);
        assert!(waits(std::os::unix::process::parent_id()).await);
        assert!(!waits(std::process::id()).await);
    }
}
