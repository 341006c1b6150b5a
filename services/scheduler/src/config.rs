//! Settings of the scheduler.
//!
//! Promises: every field has a default, a unit and a reason in `deploy/config/scheduler.toml`.

use std::collections::BTreeMap;
use std::time::Duration;

use lepton_domain::admission::Limits;
use lepton_domain::ids::Tenant;
use lepton_domain::ledger::{FORMAT_MAX, Policy};
use lepton_domain::queue::{self, Queue, WEIGHT_MAX};
use lepton_domain::reason::{ApiError, Reason};
use lepton_mesh::config::{Common, ServiceConfig, duration};
use serde::{Deserialize, Serialize};

/// Shortest ageing: with less, priorities would mean nothing.
const AGEING_MIN: Duration = Duration::from_secs(1);

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
    /// The order in which tasks start.
    pub queue: QueueOrder,
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
    /// Time that tasks wait which no connected worker could run, after which that is an incident.
    #[serde(with = "duration")]
    pub unplaceable_after: Duration,
}

impl Default for Tasks {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            retention: Policy::default().retention(),
            blob_grace: Duration::from_secs(60),
            stored_per_tenant_max: limits.stored_tasks_per_tenant,
            pending_per_tenant_max: limits.pending_tasks_per_tenant,
            unplaceable_after: Duration::from_secs(60),
        }
    }
}

/// Settings of the order in which tasks start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueOrder {
    /// Waiting time that outweighs one step of priority within a tenant, at least a second.
    #[serde(with = "duration")]
    pub ageing: Duration,
    /// Shares of the starts by tenant, 1 to 1,000; tenants that are not named have 1.
    pub weights: BTreeMap<String, u32>,
}

impl Default for QueueOrder {
    fn default() -> Self {
        Self {
            ageing: queue::AGEING,
            weights: BTreeMap::new(),
        }
    }
}

impl QueueOrder {
    /// An empty queue of this order.
    pub(crate) fn queue(&self) -> Queue {
        let mut queue = Queue::with_ageing(self.ageing);
        for (tenant, weight) in &self.weights {
            queue.set_weight(&Tenant::new(tenant.as_str()), *weight);
        }
        queue
    }

    /// Refuses values out of their range, with CONFIG_INVALID.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        let refused = |key: &str, problem: String| {
            let message = format!("queue.{key}: {problem}");
            Err(ApiError::new(Reason::ConfigInvalid, message))
        };
        if self.ageing < AGEING_MIN {
            return refused("ageing", format!("{:?} is below a second", self.ageing));
        }
        let odd = self
            .weights
            .iter()
            .find(|(_, weight)| !(1..=WEIGHT_MAX).contains(*weight));
        match odd {
            Some((tenant, weight)) => refused(
                &format!("weights.{tenant}"),
                format!("{weight} is not in 1..={WEIGHT_MAX}"),
            ),
            None => Ok(()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_out_of_range_is_refused() {
        let order = QueueOrder::default();
        assert_eq!(order.check(), Ok(()));
        let weighted = |weight| QueueOrder {
            weights: BTreeMap::from([("acme".to_owned(), weight)]),
            ..QueueOrder::default()
        };
        assert_eq!(weighted(1_000).check(), Ok(()));
        for weight in [0, 1_001] {
            let error = weighted(weight).check().expect_err("out of range");
            assert_eq!(
                error.message,
                format!("queue.weights.acme: {weight} is not in 1..=1000")
            );
        }
        let hasty = QueueOrder {
            ageing: Duration::from_millis(999),
            ..order
        };
        assert_eq!(hasty.check().expect_err("too short").reason, Reason::ConfigInvalid);
    }
}
