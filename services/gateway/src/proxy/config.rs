//! Limits of online calls: section `[online]`.

use std::time::Duration;

use lepton_mesh::config::duration;
use serde::{Deserialize, Serialize};

/// Limits of online calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OnlineConfig {
    /// Maximum of calls under way; more are refused with OVERLOADED.
    pub calls_max: u32,
    /// Longest call when its caller sets no deadline.
    #[serde(with = "duration")]
    pub deadline: Duration,
    /// The largest body, in bytes, that is sent to a second worker when the first breaks off.
    pub retry_body_bytes_max: usize,
}

impl Default for OnlineConfig {
    fn default() -> Self {
        Self {
            calls_max: 1_024,
            deadline: Duration::from_secs(300),
            retry_body_bytes_max: 256 * 1024,
        }
    }
}
