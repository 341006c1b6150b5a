//! Settings of the scheduler.
//!
//! Promises: every field has a default, a unit and a reason in `deploy/config/scheduler.toml`.

use std::time::Duration;

use lepton_domain::admission::Limits;
use lepton_domain::ledger::{FORMAT_MAX, Policy};
use lepton_mesh::config::{Common, ServiceConfig, duration};
use serde::{Deserialize, Serialize};

/// Configuration of the scheduler.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Settings that all services have in common.
    pub common: Common,
    /// The journal.
    pub journal: Tuning,
    /// Tasks.
    pub tasks: Tasks,
}

impl ServiceConfig for Config {
    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }
}

/// Settings of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tuning {
    /// Distance between two appends under load; a command that comes alone is appended at once.
    #[serde(with = "duration")]
    pub append_spacing: Duration,
    /// An append that takes longer means that etcd is away: new commands are refused.
    #[serde(with = "duration")]
    pub stall_after: Duration,
    /// History of etcd that is kept; watchers that are further behind read everything anew.
    #[serde(with = "duration")]
    pub history: Duration,
    /// Bytes of segments after which a snapshot is made.
    pub snapshot_bytes: u64,
    /// Newest format that may be written; 0 for the newest that this version knows.
    pub format_max: u32,
}

impl Tuning {
    /// Newest format that this scheduler announces.
    pub(crate) fn format_max(&self) -> u32 {
        match self.format_max {
            0 => FORMAT_MAX,
            limit => limit.min(FORMAT_MAX),
        }
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            append_spacing: Duration::from_millis(2),
            stall_after: Duration::from_secs(1),
            history: Duration::from_secs(300),
            snapshot_bytes: 64 * 1024 * 1024,
            format_max: 0,
        }
    }
}

/// Settings of tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tasks {
    /// Time for which the record of an ended task is kept, at least ten minutes.
    #[serde(with = "duration")]
    pub retention: Duration,
    /// Time by which a purged task's blobs outlive it.
    #[serde(with = "duration")]
    pub blob_grace: Duration,
    /// Task records per tenant, ended ones included.
    pub stored_per_tenant_max: u64,
    /// Tasks per tenant that wait to run.
    pub pending_per_tenant_max: u64,
}

impl Default for Tasks {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            retention: Policy::default().retention(),
            blob_grace: Duration::from_secs(60),
            stored_per_tenant_max: limits.stored_tasks_per_tenant,
            pending_per_tenant_max: limits.pending_tasks_per_tenant,
        }
    }
}

impl Tasks {
    /// Rules of the ledger; see [`Policy`].
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            limits: self.limits(),
            retention: self.retention,
            ..Policy::default()
        }
    }

    /// Bounds of the ledger; see [`Limits`].
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            stored_tasks_per_tenant: self.stored_per_tenant_max,
            pending_tasks_per_tenant: self.pending_per_tenant_max,
            ..Limits::default()
        }
    }
}
