//! Settings of the worker.
//!
//! Promises: every field has a default, a unit and a reason in `deploy/config/worker.toml`.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::time::Duration;

use lepton_mesh::config::{Common, ServiceConfig, duration};
use serde::{Deserialize, Serialize};

use crate::model::host::Room;
use crate::model::inspect::Limits;

/// Everything that can be set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What all services have in common.
    pub common: Common,
    /// Attempts of tasks.
    pub tasks: Tasks,
    /// Online calls.
    pub online: Online,
    /// Models in memory.
    pub models: Models,
    /// When the process ends.
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
    /// How long an attempt may run whose task does not say it.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// What the requirements of tasks are compared with.
    pub labels: BTreeMap<String, String>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self {
            slots: 0,
            compute: 0,
            payload_bytes_max: 512 << 20,
            timeout: Duration::from_secs(60 * 60),
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

/// Models in memory, and the looks at files that may become models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// Bytes of the files of all models that are in memory.
    pub files_bytes_max: u64,
    /// Models that load at once; 0: one for each core.
    pub loads: u32,
    /// Bytes of tensors that one run of a model may hold at once, its weights left out.
    pub run_memory_bytes_max: u64,
    /// Bytes of address space that a look at a file may take.
    pub look_memory_bytes_max: u64,
    /// How much of the processor's time such a look may take; by the clock, twice as much.
    #[serde(with = "duration")]
    pub look_timeout: Duration,
}

impl Default for Models {
    fn default() -> Self {
        Self {
            files_bytes_max: 2 << 30,
            loads: 0,
            run_memory_bytes_max: 1 << 30,
            look_memory_bytes_max: 2 << 30,
            look_timeout: Duration::from_secs(60),
        }
    }
}

/// When the process ends.
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
    /// How much may be in memory on this machine.
    pub(crate) fn room_here(&self) -> Room {
        Room {
            files_bytes_max: self.files_bytes_max,
            loads_max: or_cores(self.loads),
        }
    }

    /// What a look at a file may take.
    pub(crate) fn look(&self) -> Limits {
        Limits {
            memory_bytes_max: self.look_memory_bytes_max,
            run_memory_bytes_max: self.run_memory_bytes_max,
            timeout: self.look_timeout,
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
