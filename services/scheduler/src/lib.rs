//! The scheduler: a replicated state machine over the journal in etcd.
//!
//! Several run; one leads, the others follow and stay warm. The leader turns commands into events, appends them, and
//! acts on their effects; it hands attempts to the workers that have opened a session. See `leader` for how data flows.

mod compaction;
mod config;
mod fleet;
mod intake;
mod known;
mod leader;
mod office;
mod progress;
mod query;
mod role;
mod service;
mod session;
mod standby;
mod sweeper;

pub use config::{Config, Tasks, Tuning};
pub use service::Scheduler;
