//! The kinds of tasks that a worker runs, found by name in a table.
//!
//! Promises: every kind reads its input in one pass, and its failures are those of the online call where there is one.
//! Leaves the contract to [`Kind`], and threads to [`CpuPool`].

use std::collections::BTreeMap;
use std::sync::Arc;

use lepton_domain::reason::Reason;

use crate::cpu_pool::CpuPool;
use crate::kind::{Failure, Kind};
use crate::model::access::ModelAccess;

use analyze::Analyze;
use echo::Echo;
use evaluate::Evaluate;
use train::Train;

mod analyze;
pub(crate) mod echo;
mod evaluate;
mod fields;
mod output;
mod rows;
mod source;
mod train;

/// Kinds by name. Clones share the table.
#[derive(Clone)]
pub(crate) struct Kinds {
    by_name: Arc<BTreeMap<&'static str, Arc<dyn Kind>>>,
}

impl Kinds {
    /// All kinds; those that compute do so on `cpu_pool`.
    pub(crate) fn all(cpu_pool: &CpuPool, models: &ModelAccess) -> Self {
        Self::new([
            Arc::new(Echo) as Arc<dyn Kind>,
            Arc::new(Analyze::new(cpu_pool.clone(), models.cache.clone())),
            Arc::new(Evaluate::new(cpu_pool.clone(), models.clone())),
            Arc::new(Train::new(cpu_pool.clone(), models.clone())),
        ])
    }

    /// A table of these kinds.
    pub(crate) fn new(kinds: impl IntoIterator<Item = Arc<dyn Kind>>) -> Self {
        let by_name = kinds.into_iter().map(|kind| (kind.name(), kind)).collect();
        Self {
            by_name: Arc::new(by_name),
        }
    }

    /// Names of the kinds, in order.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.by_name.keys().copied().collect()
    }

    /// Finds a kind by name. Fails with KIND_UNKNOWN, which another worker may not share.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<dyn Kind>, Failure> {
        let found = self.by_name.get(name).cloned();
        found.ok_or_else(|| Failure::retryable(Reason::KindUnknown, format!("this worker does not run {name:?}")))
    }
}
