//! The way from handlers to the leader's task, while this scheduler leads.
//!
//! Promises: a handler reaches the leader of this process, or gets an error that names the leader elsewhere. Sessions
//! and streams end when this scheduler closes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lepton_coordination::election::Leader;
use lepton_core::shutdown::Shutdown;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use crate::error::CallError;
use crate::message::{Message, SessionNumber};

/// Sender of [`Message`]s to the leader's task.
#[derive(Debug, Clone)]
pub(crate) struct LeaderHandle {
    inbox: mpsc::Sender<Message>,
}

impl LeaderHandle {
    /// A handle over the leader's inbox.
    pub fn new(inbox: mpsc::Sender<Message>) -> Self {
        Self { inbox }
    }

    /// Sends a message, waiting while the inbox is full.
    pub async fn send(&self, message: Message) -> Result<(), CallError> {
        self.inbox.send(message).await.map_err(|_gone| CallError::Resigned)
    }
}

/// The leader of this process, if it has one; shared by all handlers.
#[derive(Clone)]
pub(crate) struct LocalLeader {
    slot: watch::Receiver<Option<LeaderHandle>>,
    remote: watch::Receiver<Option<Leader>>,
    session_numbers: Arc<AtomicU64>,
    tasks: TaskTracker,
    closing: Shutdown,
    /// Span of the service, under which streams are worked on.
    scope: Span,
}

impl LocalLeader {
    /// A view on the slot that the role loop fills while it leads, and on the leader that etcd names.
    pub fn new(
        slot: watch::Receiver<Option<LeaderHandle>>,
        remote: watch::Receiver<Option<Leader>>,
        closing: Shutdown,
    ) -> Self {
        Self {
            slot,
            remote,
            session_numbers: Arc::default(),
            tasks: TaskTracker::new(),
            closing,
            scope: Span::current(),
        }
    }

    /// Returns the leader's handle, if it is here; otherwise [`CallError::NotLeader`].
    pub fn get(&self) -> Result<LeaderHandle, CallError> {
        let handle = self.slot.borrow().clone();
        handle.ok_or_else(|| CallError::NotLeader(self.remote.borrow().clone()))
    }

    /// Returns a number that no session of this process has had.
    pub fn session_number(&self) -> SessionNumber {
        self.session_numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Runs the work of a stream until it ends or this scheduler closes.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        let until_closing = async move {
            tokio::select! {
                () = closing.triggered() => {}
                () = work => {}
            }
        };
        self.tasks.spawn(until_closing.instrument(self.scope.clone()));
    }
}
