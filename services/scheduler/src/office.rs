//! The office of the leader: where handlers find the leader's task while this scheduler leads.
//!
//! Promises: a handler reaches the present leader or learns that there is none here, with the name of the one that it
//! should ask. Sessions and streams end with the office.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lepton_coordination::election::Leader;
use lepton_core::shutdown::Shutdown;
use lepton_domain::reason::{Fault, Reason};
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use crate::leader::message::{Message, SessionNumber};

/// Reaches the leader's task.
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
    pub async fn send(&self, message: Message) -> Result<(), Fault> {
        self.inbox.send(message).await.map_err(|_gone| resigned())
    }
}

/// What callers hear when the leader that they asked is no longer one. The outcome of a command is unknown then.
pub(crate) fn resigned() -> Fault {
    Fault::new(Reason::NotLeader, "this scheduler leads no more; ask its successor")
}

/// Shared by all handlers of this scheduler.
#[derive(Clone)]
pub(crate) struct Office {
    seat: watch::Receiver<Option<LeaderHandle>>,
    elsewhere: watch::Receiver<Option<Leader>>,
    numbers: Arc<AtomicU64>,
    tasks: TaskTracker,
    closing: Shutdown,
    /// The service that works here, as its spans name it.
    scope: Span,
}

impl Office {
    /// An office whose seat is filled by `role`, and which knows of other leaders from `elsewhere`.
    pub fn new(
        seat: watch::Receiver<Option<LeaderHandle>>,
        elsewhere: watch::Receiver<Option<Leader>>,
        closing: Shutdown,
    ) -> Self {
        Self {
            seat,
            elsewhere,
            numbers: Arc::default(),
            tasks: TaskTracker::new(),
            closing,
            scope: Span::current(),
        }
    }

    /// The leader's task, if it is here.
    pub fn leader(&self) -> Result<LeaderHandle, Fault> {
        if let Some(handle) = self.seat.borrow().clone() {
            return Ok(handle);
        }
        let fault = Fault::new(
            Reason::NotLeader,
            "another scheduler leads, or none does yet; ask the leader",
        );
        Err(match self.elsewhere.borrow().as_ref() {
            Some(leader) => fault
                .with("leader", leader.instance.as_str())
                .with("epoch", leader.epoch.0.to_string()),
            None => fault,
        })
    }

    /// A number that no session of this process has had.
    pub fn number(&self) -> SessionNumber {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Runs something on behalf of a stream until it ends or the office closes.
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
