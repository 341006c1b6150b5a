//! Access to models for kinds of tasks that make or run them.
//!
//! Promises: cheap to clone. Leaves each part to its own module.

use std::sync::Arc;

use lepton_coordination::registry::Directory;
use lepton_core::blob::Blobs;
use lepton_mesh::memory_budget::MemoryBudget;
use lepton_models::Models;
use tokio::sync::watch;

use super::Backend;
use super::cache::ModelCache;

/// Everything that making and running models takes.
#[derive(Debug, Clone)]
pub(crate) struct ModelAccess {
    /// The registry of models.
    pub(crate) registry: Models,
    /// The workers, and the versions that they have in memory.
    pub(crate) directory: Directory,
    /// The versions that this worker has in memory.
    pub(crate) cache: ModelCache,
    /// Backend for files that are not deployed, which [`ModelAccess::cache`] does not hold.
    pub(crate) backend: Arc<dyn Backend>,
    /// The blob store, as soon as it is open.
    pub(crate) opened: watch::Receiver<Option<Blobs>>,
    /// Memory of uploads and models that single attempts fetch. Apart from that of payloads, so that no attempt waits for
    /// a part of the budget of which it holds another part.
    pub(crate) memory: MemoryBudget,
}

impl ModelAccess {
    /// Waits for the blob store; attempts only run once it is open. `None` when the worker ends before.
    pub(crate) async fn blobs(&self) -> Option<Blobs> {
        let mut opened = self.opened.clone();
        opened.wait_for(Option::is_some).await.ok()?.clone()
    }
}
