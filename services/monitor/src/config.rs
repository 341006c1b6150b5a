//! Settings of the monitor.
//!
//! Promises: every field has a default, a unit and a reason in `deploy/config/monitor.toml`.

use std::time::Duration;

use lepton_mesh::config::{Common, ServiceConfig, duration};
use serde::{Deserialize, Serialize};

/// Settings of the monitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Settings that all services have. `listen` is the address of the console.
    pub common: Common,
    /// Observation of instances: interval, history and limits.
    pub stats: Stats,
    /// Times after which conditions that the monitor finds itself are reported.
    pub incidents: Incidents,
    /// Refresh and limits of the console.
    pub console: Console,
    /// Listener of the OTLP receiver, and limits of its messages.
    pub otlp: Otlp,
    /// Memory and retention of traces.
    pub traces: Traces,
}

/// Observation of instances: interval, history and limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stats {
    /// Interval at which every instance reports its load.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// Samples kept of each instance, about 72 bytes each.
    pub samples_max: usize,
    /// Instances observed at a time; further ones are counted and ignored.
    pub instances_max: usize,
    /// Silence on an open connection after which an instance counts as gone.
    #[serde(with = "duration")]
    pub silence_max: Duration,
}

/// Times after which conditions that the monitor finds itself are reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Incidents {
    /// Time without a leader of a service after which that is an incident.
    #[serde(with = "duration")]
    pub leaderless_after: Duration,
}

/// Refresh and limits of the console.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Console {
    /// Interval at which an open page is refreshed.
    #[serde(with = "duration")]
    pub refresh: Duration,
    /// Pages that are refreshed at a time; further ones stay as they were loaded.
    pub live_max: usize,
}

/// Listener of the OTLP receiver, and limits of its messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    /// Listen address for OTLP over gRPC and HTTP; port 0 takes a free one.
    pub listen: String,
    /// The largest message, in bytes, after decompression.
    pub message_bytes_max: usize,
    /// Spans of one message; further ones are rejected and counted.
    pub message_spans_max: usize,
}

/// Memory and retention of traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traces {
    /// Memory for all of them, in bytes, by an estimate.
    pub bytes_max: usize,
    /// Spans of one trace; further ones are counted only.
    pub spans_max: usize,
    /// Time without a new span after which a trace is judged.
    #[serde(with = "duration")]
    pub quiet: Duration,
    /// Least duration of a slow trace.
    #[serde(with = "duration")]
    pub slow_min: Duration,
    /// Share of ordinary traces that are retained as long as failed and slow ones, 0 to 1.
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
            incidents: Incidents::default(),
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

impl Default for Incidents {
    fn default() -> Self {
        Self {
            leaderless_after: Duration::from_secs(10),
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
