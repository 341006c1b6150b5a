//! Commands to hosts that only the simulation itself, or the host's own runtime, can carry out.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;

/// A command to the simulation.
pub(super) enum Command {
    /// End a host's process at once.
    Crash(String),
    /// Start a host's process anew.
    Restart(String),
    /// Let messages from and to a host travel this much longer.
    Delay(String, Duration),
}

/// Commands hosts from within the simulation. Clones share the queue.
#[derive(Clone, Default)]
pub struct Control {
    commands: Rc<RefCell<Vec<Command>>>,
    jumps: Rc<RefCell<BTreeMap<String, Jump>>>,
}

impl Control {
    /// Ends a host's process at once.
    pub fn crash(&self, host: &str) {
        self.push(Command::Crash(host.to_owned()));
    }

    /// Starts a crashed host's process again.
    pub fn restart(&self, host: &str) {
        self.push(Command::Restart(host.to_owned()));
    }

    /// Lets messages from and to a host travel this much longer than usual.
    pub fn delay(&self, host: &str, more: Duration) {
        self.push(Command::Delay(host.to_owned(), more));
    }

    /// Lets a host's clocks jump ahead, as they do for a process that was stopped and goes on.
    pub fn jump(&self, host: &str, by: Duration) {
        if let Some(jump) = self.jumps.borrow().get(host) {
            jump.by.set(jump.by.get() + by);
            jump.due.notify_one();
        }
    }

    /// The jumps of a host, for its processes.
    pub(super) fn register(&self, host: &str) -> Jump {
        let jump = Jump::default();
        self.jumps.borrow_mut().insert(host.to_owned(), jump.clone());
        jump
    }

    /// The commands since the last call.
    pub(super) fn take(&self) -> Vec<Command> {
        self.commands.take()
    }

    fn push(&self, command: Command) {
        self.commands.borrow_mut().push(command);
    }
}

/// How far a host's clocks should jump.
#[derive(Clone, Default)]
pub(super) struct Jump {
    by: Rc<Cell<Duration>>,
    due: Rc<Notify>,
}

impl Jump {
    /// Carries out jumps; must run on the host's own runtime.
    pub(super) async fn apply(self) -> Infallible {
        loop {
            self.due.notified().await;
            tokio::time::advance(self.by.take()).await;
        }
    }
}
