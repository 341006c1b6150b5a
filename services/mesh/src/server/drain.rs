//! The connections of a server, and their end.
//!
//! Promises: none outlives its server. Leaves what is sent at the end of one to [`super::connection`].

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::Instrument;

use lepton_core::shutdown::Shutdown;

/// A shutdown in two stages, so that clients go by themselves before they are made to.
#[derive(Clone, Debug)]
pub struct StagedShutdown {
    /// From now on each answer of HTTP/1 announces that its connection closes.
    pub announced: Shutdown,
    /// No more connections are accepted, and those that are there end.
    pub closing: Shutdown,
}

impl From<Shutdown> for StagedShutdown {
    /// Both stages at once.
    fn from(shutdown: Shutdown) -> Self {
        Self {
            announced: shutdown.clone(),
            closing: shutdown,
        }
    }
}

/// Connections at work.
#[derive(Debug)]
pub struct Connections {
    tasks: JoinSet<()>,
    max: usize,
}

impl Connections {
    /// None yet; room for `max`.
    pub fn new(max: usize) -> Self {
        Self {
            tasks: JoinSet::new(),
            max,
        }
    }

    /// Returns whether one more connection may begin.
    pub fn has_room(&self) -> bool {
        self.tasks.len() < self.max
    }

    /// Returns whether there is no connection.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Runs one, in the current span.
    pub fn spawn(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(connection.in_current_span());
    }

    /// Waits until one has ended. One that panicked has ended too: its requests answered INTERNAL already.
    pub async fn one_ended(&mut self) {
        self.tasks.join_next().await;
    }

    /// Waits until all connections have ended, which they were asked to, and cuts off those that have not in time.
    pub async fn drain(mut self, timeout: Duration) {
        let all_ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(timeout, all_ended).await.is_err() {
            tracing::warn!(
                connections = self.tasks.len(),
                "the drain took too long: the rest is cut off"
            );
            self.tasks.shutdown().await;
        }
    }
}
