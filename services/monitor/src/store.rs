//! Whether etcd answers, as this monitor sees it.
//!
//! Promises: one small read every few seconds, and nothing is kept of it. Leaves what follows from it to the reader.

use std::time::Duration;

use lepton_coordination::etcd::Etcd;
use tokio::sync::watch;

/// How often etcd is asked.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// What is known of etcd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Store {
    /// It was not asked yet.
    #[default]
    Unknown,
    /// It answered a moment ago.
    Answers,
    /// It did not answer in time.
    Silent,
}

/// Asks again and again, until it is aborted or nobody reads the answers.
pub(crate) async fn ask(etcd: Etcd, told: watch::Sender<Store>) {
    loop {
        let asked = tokio::select! {
            () = told.closed() => return,
            // Every cluster has this key, and an absent one is an answer as well.
            answer = etcd.get(etcd.keys().incarnation()) => answer,
        };
        let store = if asked.is_ok() { Store::Answers } else { Store::Silent };
        told.send_if_modified(|before| std::mem::replace(before, store) != store);
        tokio::time::sleep(ASK_EVERY).await;
    }
}
