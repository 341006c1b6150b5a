//! Filters of tasks on the command line.

use clap::Args;

/// Filters of tasks; a task must fit all that are given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Filters")]
pub struct TaskFilters {
    /// Only in this state, as failed.
    #[arg(long)]
    pub state: Option<String>,
    /// Only of this kind.
    #[arg(long)]
    pub kind: Option<String>,
    /// Only with this label; may be given again.
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// Only those whose last error has this reason, as HANDLER_FAILED.
    #[arg(long)]
    pub reason: Option<String>,
    /// Only those whose current or last attempt has this worker.
    #[arg(long, value_name = "INSTANCE")]
    pub worker: Option<String>,
    /// Only the one with this idempotency key.
    #[arg(long)]
    pub request_id: Option<String>,
    /// Only those submitted since then: so long ago, as 1h, or at a time, as 2026-11-30T08:00:00Z.
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Only those submitted before: so long ago, or at a time.
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
}
