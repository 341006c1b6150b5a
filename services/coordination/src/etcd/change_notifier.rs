//! A watch that carries no data, only the hint that there may be some.
//!
//! Promises: notifies after every change, after every reconnect, and once a second whatever happens; many changes may
//! notify once. Leaves reading the change, and proving it, to the caller.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::watch::{next, open};
use super::{Etcd, EtcdError};

/// Longest time between two notifications.
const FALLBACK: Duration = Duration::from_secs(1);

/// Delay before the stream is opened again.
const PAUSE: Duration = Duration::from_millis(100);

/// Notifies when a key changes. The watch ends when it is dropped.
#[derive(Debug)]
pub struct ChangeNotifier {
    notifier: Arc<Notify>,
    _task: JoinSet<()>,
}

impl ChangeNotifier {
    /// Watches the keys that start with `prefix`.
    pub fn start(etcd: &Etcd, prefix: impl Into<String>) -> Self {
        let notifier = Arc::new(Notify::new());
        let mut task = JoinSet::new();
        task.spawn(watch(etcd.clone(), prefix.into(), notifier.clone()));
        Self { notifier, _task: task }
    }

    /// Waits for a change, for a reconnect, or for one second. A notification while nobody waits is kept for the
    /// next call.
    pub async fn changed(&mut self) {
        // Either way there is a reason to look, so it does not matter which it was.
        let _ = tokio::time::timeout(FALLBACK, self.notifier.notified()).await;
    }
}

async fn watch(etcd: Etcd, prefix: String, notifier: Arc<Notify>) {
    loop {
        let error = one_stream(&etcd, &prefix, &notifier).await;
        tracing::trace!(prefix, %error, "change notifier lost its stream");
        tokio::time::sleep(PAUSE).await;
    }
}

async fn one_stream(etcd: &Etcd, prefix: &str, notifier: &Notify) -> EtcdError {
    let (generation, mut stream) = match open(etcd, prefix, 0, true).await {
        Ok(stream) => stream,
        Err(error) => return error,
    };
    loop {
        // The first message says that the watch stands: whatever came before it may have been missed.
        match next(&mut stream).await {
            Ok(_) => notifier.notify_one(),
            Err(error) => {
                if error.is_unknown() {
                    etcd.rotate_from(generation);
                }
                return error;
            }
        }
    }
}
