//! Admission: quotas per tenant, and a bound on calls in flight.
//!
//! Promises: what is refused is refused with the limit, the use and when to try again. Leaves counting tasks to the
//! ledger and counting bytes to whoever reads them.

use std::time::Duration;

use crate::reason::{Fault, Reason};

#[cfg(test)]
mod tests;

/// Retry delay of a tenant over its quota: records leave with their retention, not within seconds.
const QUOTA_RETRY: Duration = Duration::from_secs(10);
/// Retry delay of a call that was refused for overload.
const OVERLOAD_RETRY: Duration = Duration::from_millis(250);

/// Bounds on what the mesh takes. Configuration, so never part of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Task records per tenant, ended ones included until they are purged.
    pub stored_tasks_per_tenant: u64,
    /// Tasks per tenant that wait to run.
    pub pending_tasks_per_tenant: u64,
    /// The largest request body, in bytes.
    pub body_bytes_max: u64,
    /// The most requests in one batch.
    pub batch_requests_max: u32,
    /// The most records on one page of a listing.
    pub page_size_max: u32,
    /// Online calls under way at once, per process.
    pub online_calls_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stored_tasks_per_tenant: 1_000_000,
            pending_tasks_per_tenant: 500_000,
            body_bytes_max: 64 * 1024 * 1024,
            batch_requests_max: 10_000,
            page_size_max: 1_000,
            online_calls_max: 1_024,
        }
    }
}

/// Records and bytes that a [`Tenant`](crate::ids::Tenant) holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Task records, ended ones included.
    pub stored: u64,
    /// Tasks blocked or waiting to run.
    pub pending: u64,
    /// Tasks running.
    pub running: u64,
}

/// Checks that a tenant that holds this much may submit one more task.
pub fn admit(usage: &Usage, limits: &Limits) -> Result<(), Fault> {
    check("stored", usage.stored, limits.stored_tasks_per_tenant)?;
    check("pending", usage.pending, limits.pending_tasks_per_tenant)
}

fn check(what: &str, used: u64, limit: u64) -> Result<(), Fault> {
    if used < limit {
        return Ok(());
    }
    let message = format!("the tenant has {used} {what} tasks, the limit is {limit}; wait until some have gone");
    Err(Fault::new(Reason::QuotaExceeded, message)
        .quota(format!("tasks:{what}"), format!("{used} of {limit}"))
        .retry_after(QUOTA_RETRY))
}

/// A bound on calls under way. The owner calls `enter` before and `leave` after each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    limit: u32,
    inside: u32,
}

impl Gate {
    /// A gate that lets this many in at once.
    pub fn new(limit: u32) -> Self {
        Self { limit, inside: 0 }
    }

    /// Counts one more in, or refuses with `OVERLOADED`.
    pub fn enter(&mut self) -> Result<(), Fault> {
        if self.inside >= self.limit {
            let message = format!("{} calls are under way, the limit; try again shortly", self.inside);
            return Err(Fault::new(Reason::Overloaded, message).retry_after(OVERLOAD_RETRY));
        }
        self.inside += 1;
        Ok(())
    }

    /// Counts one out.
    pub fn leave(&mut self) {
        self.inside = self.inside.saturating_sub(1);
    }

    /// Number of calls that are admitted.
    pub fn inside(&self) -> u32 {
        self.inside
    }
}
