//! Settings of the monitor.
//!
//! Promises: every field has a default, a unit and a reason in `deploy/config/monitor.toml`.

use std::time::Duration;

use lepton_mesh::config::{Common, ServiceConfig, duration};
use serde::{Deserialize, Serialize};

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What all services have in common. `listen` is where the console is.
    pub common: Common,
    /// What is watched, and how closely.
    pub stats: Stats,
    /// The console.
    pub console: Console,
}

/// What is watched, and how closely.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stats {
    /// How often every instance tells its load.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// Samples kept of each instance, about 32 bytes each.
    pub samples_max: usize,
    /// Instances watched; further ones are counted and left alone.
    pub instances_max: usize,
    /// An instance that is connected and says nothing for this long is gone.
    #[serde(with = "duration")]
    pub silence_max: Duration,
}

/// The console.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Console {
    /// How often an open page asks for news.
    #[serde(with = "duration")]
    pub refresh: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let listen = "127.0.0.1:8080".to_owned();
        Self {
            common: Common {
                listen,
                ..Common::default()
            },
            stats: Stats::default(),
            console: Console::default(),
        }
    }
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            samples_max: 600,
            instances_max: 1_000,
            silence_max: Duration::from_secs(5),
        }
    }
}

impl Default for Console {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(2),
        }
    }
}

impl ServiceConfig for Config {
    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }
}
