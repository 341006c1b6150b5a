//! Settings of the worker.
//!
//! Promises: every field has a default, a unit and a reason in `deploy/config/worker.toml`.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::time::Duration;

use lepton_mesh::config::{Common, ServiceConfig, duration};
use serde::{Deserialize, Serialize};

use crate::model::cache::CacheLimits;
use crate::model::sandbox::SandboxLimits;

/// Everything that can be set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Settings that all services have in common.
    pub common: Common,
    /// Attempts of tasks.
    pub tasks: Tasks,
    /// Online calls.
    pub online: Online,
    /// Models in memory.
    pub models: Models,
    /// End of the process.
    pub lifetime: Lifetime,
}

/// Attempts of tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tasks {
    /// Attempts at once, 1 to 4,096; 0: 16 for each core.
    pub slots: u32,
    /// Attempts that compute at once; 0: one for each core.
    pub compute: u32,
    /// Bytes of payloads that attempts may hold, those that wait included, and as many again of uploads and models.
    pub payload_bytes_max: u64,
    /// Longest run of an attempt whose task sets none.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// Time for attempts to end by themselves in a drain; those that still run then are handed back, and run elsewhere.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
    /// Labels that the requirements of tasks are compared with.
    pub labels: BTreeMap<String, String>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self {
            slots: 0,
            compute: 0,
            payload_bytes_max: 512 << 20,
            timeout: Duration::from_secs(60 * 60),
            drain_timeout: Duration::from_secs(20),
            labels: BTreeMap::new(),
        }
    }
}

/// Online calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Online {
    /// Calls that compute at once; 0: one for each core.
    pub concurrency: u32,
    /// Calls that may wait beyond these.
    pub queue: u32,
    /// Bytes of tables that may be in memory, of calls that wait or compute.
    pub table_bytes_max: u64,
    /// Bytes of one request between services.
    pub message_bytes_max: u64,
}

impl Default for Online {
    fn default() -> Self {
        Self {
            concurrency: 0,
            queue: 256,
            table_bytes_max: 512 << 20,
            message_bytes_max: 256 << 20,
        }
    }
}

/// Models in memory, and the validation of files that may become models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// Bytes of the files of all models that are in memory.
    pub files_bytes_max: u64,
    /// Models that load at once; 0: one for each core.
    pub loads: u32,
    /// Bytes of tensors that one run of a model may hold at once, its weights left out.
    pub run_memory_bytes_max: u64,
    /// Bytes of address space that the validation of a file may take.
    #[serde(rename = "look_memory_bytes_max")]
    pub validation_memory_bytes_max: u64,
    /// Processor time of such a validation; by the clock, twice as much.
    #[serde(with = "duration", rename = "look_timeout")]
    pub validation_timeout: Duration,
}

impl Default for Models {
    fn default() -> Self {
        Self {
            files_bytes_max: 2 << 30,
            loads: 0,
            run_memory_bytes_max: 1 << 30,
            validation_memory_bytes_max: 2 << 30,
            validation_timeout: Duration::from_secs(60),
        }
    }
}

/// End of the process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lifetime {
    /// The process id of a parent with which the worker ends; 0: none.
    pub parent_pid: u32,
    /// The place among its parent's children, as `worker-1`: whoever fills it next replaces this worker. Empty: none.
    pub place: String,
}

/// Slots for each core: most attempts wait, for a delay, a disk or another service. Those that compute are bounded apart.
const SLOTS_PER_CORE: u32 = 16;
/// The most slots that a leader takes.
const SLOTS_MAX: u32 = 4_096;

impl Tasks {
    /// Attempts at once on this machine.
    pub(crate) fn slots_here(&self) -> u32 {
        let slots = if self.slots == 0 {
            cores().saturating_mul(SLOTS_PER_CORE)
        } else {
            self.slots
        };
        slots.min(SLOTS_MAX)
    }

    /// Attempts that compute at once on this machine.
    pub(crate) fn compute_here(&self) -> usize {
        or_cores(self.compute)
    }
}

impl Online {
    /// Calls that compute at once on this machine.
    pub(crate) fn concurrency_here(&self) -> usize {
        or_cores(self.concurrency)
    }
}

impl Models {
    /// Limits of the models in memory on this machine.
    pub(crate) fn cache_limits(&self) -> CacheLimits {
        CacheLimits {
            files_bytes_max: self.files_bytes_max,
            loads_max: or_cores(self.loads),
        }
    }

    /// Limits of the validation of a file.
    pub(crate) fn sandbox_limits(&self) -> SandboxLimits {
        SandboxLimits {
            memory_bytes_max: self.validation_memory_bytes_max,
            run_memory_bytes_max: self.run_memory_bytes_max,
            timeout: self.validation_timeout,
        }
    }
}

fn or_cores(configured: u32) -> usize {
    usize::try_from(if configured == 0 { cores() } else { configured }).unwrap_or(1)
}

fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    u32::try_from(cores).unwrap_or(1)
}

impl ServiceConfig for Config {
    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }
}
