//! Limits of calls about tasks: section `[tasks]`.

use std::time::Duration;

use lepton_mesh::config::duration;
use serde::{Deserialize, Serialize};

/// Limits of calls about tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TasksConfig {
    /// How long a call waits for the leader's answer when its caller sets no deadline.
    #[serde(with = "duration")]
    pub deadline: Duration,
    /// How many submits of one batch are on their way at once.
    pub batch_in_flight: usize,
}

impl Default for TasksConfig {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            batch_in_flight: 2_000,
        }
    }
}
