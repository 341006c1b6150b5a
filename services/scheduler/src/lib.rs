//! The scheduler: a replicated state machine over the journal in etcd.
//!
//! Several run; one leads, the others follow and stay warm. The leader turns commands into events, appends them, and
//! acts on their effects; it hands attempts to the workers that have opened a session. See `leader` for the flow of
//! data.

mod api;
mod compaction;
mod config;
mod error;
mod formats;
mod high_water_mark;
mod intake;
mod leader;
mod leader_handle;
mod message;
mod role;
mod service;
mod session;
mod standby;
mod stats;
mod status;
mod sweeper;

pub use config::{Config, Tasks, Tuning};
pub use service::Scheduler;
