//! Ends with the parent, for a worker that somebody started as a child.
//!
//! Promises: notices within a quarter of a second, however the parent died, `kill -9` included, and also if it had died
//! before the worker looked for the first time. It asks who the parent is, since a dead one's child gets another; the
//! kernel's own signal on a parent's death comes when the *thread* that started the child ends, which may be long before.

use std::time::Duration;

/// How often it looks: one system call each time.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Completes when `parent_pid` is no longer the parent of this process; never for 0.
pub async fn gone(parent_pid: u32) {
    if parent_pid == 0 {
        std::future::pending::<()>().await;
    }
    while std::os::unix::process::parent_id() == parent_pid {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_another_parent_ends_the_wait() {
        let waits = |pid| async move { timeout(Duration::from_secs(5), gone(pid)).await.is_err() };
        assert!(waits(0).await);
        assert!(waits(std::os::unix::process::parent_id()).await);
        assert!(!waits(std::process::id()).await);
    }
}
