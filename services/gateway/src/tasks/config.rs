//! Limits of calls about tasks: section `[tasks]`.

use std::time::Duration;

use lepton_mesh::config::duration;
use serde::{Deserialize, Serialize};

/// Limits of calls about tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TasksConfig {
    /// Longest wait for the leader's answer when the caller sets no deadline.
    #[serde(with = "duration")]
    pub deadline: Duration,
    /// Submits of one batch that are on their way at once.
    pub batch_in_flight: usize,
    /// Time after which a call on all tasks that fit a filter begins with no further page of them, and gives a token with
    /// which another goes on.
    #[serde(with = "duration")]
    pub batch_time: Duration,
    /// Waits and watches that are under way at once; more are refused with OVERLOADED. Each takes a stream of one connection
    /// to the leader, of which a scheduler allows `server.streams_max`.
    pub watches_max: usize,
}

impl Default for TasksConfig {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            batch_in_flight: 2_000,
            batch_time: Duration::from_secs(20),
            watches_max: 4_096,
        }
    }
}
