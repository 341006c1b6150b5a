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
    /// Where traces are received.
    pub otlp: Otlp,
    /// Which traces are kept.
    pub traces: Traces,
}

/// What is watched, and how closely.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stats {
    /// How often every instance tells its load.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// Samples kept of each instance, about 72 bytes each.
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
    /// How often an open page is brought up to date.
    #[serde(with = "duration")]
    pub refresh: Duration,
    /// Pages that are kept up to date at a time; further ones stay as they were loaded.
    pub live_max: usize,
}

/// Where traces are received.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    /// Where OTLP is taken, over gRPC and over HTTP; port 0 takes a free one.
    pub listen: String,
    /// The largest message, in bytes, after decompression.
    pub message_bytes_max: usize,
    /// Spans of one message; further ones are refused and counted.
    pub message_spans_max: usize,
}

/// Which traces are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traces {
    /// Memory for all of them, in bytes, by an estimate.
    pub bytes_max: usize,
    /// Spans of one trace; further ones are counted only.
    pub spans_max: usize,
    /// A trace is judged when nothing of it has come for this long.
    #[serde(with = "duration")]
    pub quiet: Duration,
    /// A trace that took less is never slow.
    #[serde(with = "duration")]
    pub slow_min: Duration,
    /// The share of ordinary traces that stay as long as failed and slow ones, 0 to 1.
    pub sample: f64,
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
            otlp: Otlp::default(),
            traces: Traces::default(),
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
            refresh: Duration::from_secs(1),
            live_max: 64,
        }
    }
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            message_bytes_max: 8 << 20,
            message_spans_max: 10_000,
        }
    }
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            bytes_max: 64 << 20,
            spans_max: 2_000,
            quiet: Duration::from_secs(3),
            slow_min: Duration::from_millis(100),
            sample: 0.05,
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
