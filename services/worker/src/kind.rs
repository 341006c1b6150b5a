//! What a worker can run: kinds of tasks behind one trait, found by name in a table.
//!
//! Promises: a kind sees an input and a wish to stop, and gives an output or a failure; where payloads lie and what
//! becomes of the failure are none of its business. Leaves timeouts, panics and reports to `attempt`.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use lepton_core::error::is_retryable;
use lepton_domain::ids::{AttemptId, Tenant};
use lepton_domain::reason::{Fault, Reason};
use lepton_domain::task::{Encoding, TaskError};
use tokio_util::sync::CancellationToken;

use crate::compute::Compute;
use crate::kinds::analyze::Analyze;
use crate::kinds::echo::Echo;
use crate::kinds::evaluate::Evaluate;
use crate::kinds::train::Train;
use crate::model::library::Library;
use crate::progress::Progress;
use crate::stopwatch::Stopwatch;

/// What an attempt is given.
#[derive(Debug, Clone)]
pub struct Input {
    /// The attempt: its task's id is the idempotency key, its number the fencing token.
    pub attempt: AttemptId,
    /// Who submitted it.
    pub tenant: Tenant,
    /// How to read the content.
    pub encoding: Encoding,
    /// The content, fetched already.
    pub content: Bytes,
    /// The submitter's trace, 32 hexadecimal digits; empty when there is none.
    pub trace_id: String,
    /// Where it may say how far it is.
    pub progress: Progress,
    /// Measures how long it has run; it should stand still while the attempt waits for others.
    pub stopwatch: Stopwatch,
}

/// What an attempt gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How to read the content.
    pub encoding: Encoding,
    /// The content, of any size; JSON in canonical form.
    pub content: Bytes,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the submitter is told.
    pub error: TaskError,
    /// Whether another attempt may fare better.
    pub retryable: bool,
}

impl Failure {
    /// One after which another attempt may fare better.
    pub fn passing(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            error: TaskError::new(reason, message).shortened(),
            retryable: true,
        }
    }

    /// One that every other attempt would share.
    pub fn lasting(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            error: TaskError::new(reason, message).shortened(),
            retryable: false,
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let retryable = is_retryable(&fault);
        Self {
            error: TaskError::new(fault.reason, fault.message).shortened(),
            retryable,
        }
    }
}

/// A kind of task.
pub trait Kind: Send + Sync {
    /// Its name, as tasks say it.
    fn name(&self) -> &'static str;

    /// Runs one attempt. It must end soon after `cancel`, at which the future may also be dropped at any time.
    fn run(&self, input: Input, cancel: CancellationToken) -> BoxFuture<'static, Result<Output, Failure>>;
}

/// The kinds of a worker, by name.
#[derive(Clone)]
pub struct Kinds {
    by_name: Arc<BTreeMap<&'static str, Arc<dyn Kind>>>,
}

impl Kinds {
    /// The kinds that are built in; those that compute do so on `compute`.
    pub fn built_in(compute: &Compute) -> Self {
        Self::of([Arc::new(Echo) as Arc<dyn Kind>, Arc::new(Analyze::new(compute.clone()))])
    }

    /// The kinds that are built in, with models.
    pub fn with_models(compute: &Compute, library: &Library) -> Self {
        let analyze = Analyze::new(compute.clone()).with_models(library.host.clone());
        Self::of([
            Arc::new(Echo) as Arc<dyn Kind>,
            Arc::new(analyze),
            Arc::new(Evaluate::new(compute.clone(), library.clone())),
            Arc::new(Train::new(compute.clone(), library.clone())),
        ])
    }

    /// These kinds.
    pub fn of(kinds: impl IntoIterator<Item = Arc<dyn Kind>>) -> Self {
        let by_name = kinds.into_iter().map(|kind| (kind.name(), kind)).collect();
        Self {
            by_name: Arc::new(by_name),
        }
    }

    /// Their names, in order.
    pub fn names(&self) -> Vec<&'static str> {
        self.by_name.keys().copied().collect()
    }

    /// The kind of this name. Fails with KIND_UNKNOWN, which another worker may not share.
    pub fn find(&self, name: &str) -> Result<Arc<dyn Kind>, Failure> {
        let found = self.by_name.get(name).cloned();
        found.ok_or_else(|| Failure::passing(Reason::KindUnknown, format!("this worker does not run {name:?}")))
    }
}
