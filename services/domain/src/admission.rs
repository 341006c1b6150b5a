//! Admission: quotas per tenant, and limits on concurrent calls.
//!
//! Promises: a refusal names the limit, the usage and the retry delay. Leaves counting tasks to the
//! [ledger](crate::ledger) and counting bytes to their readers.

use std::time::Duration;

use crate::reason::{ApiError, Reason};

#[cfg(test)]
mod tests;

/// Retry delay of a tenant over its quota: records leave with their retention, not within seconds.
const QUOTA_RETRY: Duration = Duration::from_secs(10);
/// Retry delay of a call refused for overload.
const OVERLOAD_RETRY: Duration = Duration::from_millis(250);

/// Limits of the mesh. Configuration, so never part of the [`Ledger`](crate::ledger::Ledger).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Task records per tenant ([`Usage::stored`]), ended ones included until they are purged.
    pub stored_tasks_per_tenant: u64,
    /// Waiting tasks per tenant ([`Usage::pending`]).
    pub pending_tasks_per_tenant: u64,
    /// Largest request body, in bytes.
    pub body_bytes_max: u64,
    /// Most requests in one batch.
    pub batch_requests_max: u32,
    /// Most records on one page of a listing.
    pub page_size_max: u32,
    /// Concurrent online calls per process.
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

/// Present holdings of a tenant, checked by [`admit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Task records, ended ones included.
    pub stored: u64,
    /// Tasks blocked or waiting to run.
    pub pending: u64,
    /// Tasks running.
    pub running: u64,
}

/// Refuses a submit with QUOTA_EXCEEDED where the tenant holds as much as the [`Limits`] allow.
pub fn admit(usage: &Usage, limits: &Limits) -> Result<(), ApiError> {
    check("stored", usage.stored, limits.stored_tasks_per_tenant)?;
    check("pending", usage.pending, limits.pending_tasks_per_tenant)
}

fn check(what: &str, used: u64, limit: u64) -> Result<(), ApiError> {
    if used < limit {
        return Ok(());
    }
    let message = format!("the tenant has {used} {what} tasks, the limit is {limit}; wait until some have gone");
    Err(ApiError::new(Reason::QuotaExceeded, message)
        .quota(format!("tasks:{what}"), format!("{used} of {limit}"))
        .retry_after(QUOTA_RETRY))
}

/// Limit on concurrent calls. The owner calls [`Gate::enter`] before and [`Gate::leave`] after each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    limit: u32,
    inside: u32,
}

impl Gate {
    /// Gate with room for `limit` calls.
    pub fn new(limit: u32) -> Self {
        Self { limit, inside: 0 }
    }

    /// Counts one more call, or refuses it with OVERLOADED.
    pub fn enter(&mut self) -> Result<(), ApiError> {
        if self.inside >= self.limit {
            let message = format!("{} calls are under way, the limit; try again shortly", self.inside);
            return Err(ApiError::new(Reason::Overloaded, message).retry_after(OVERLOAD_RETRY));
        }
        self.inside += 1;
        Ok(())
    }

    /// Counts one call less.
    pub fn leave(&mut self) {
        self.inside = self.inside.saturating_sub(1);
    }

    /// Number of calls inside.
    pub fn inside(&self) -> u32 {
        self.inside
    }
}
