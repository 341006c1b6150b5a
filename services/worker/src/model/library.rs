//! What kinds of tasks need to make models and to run them.
//!
//! Promises: cheap to clone. Leaves each part to its own module.

use std::sync::Arc;

use lepton_coordination::registry::Directory;
use lepton_core::blob::Blobs;
use lepton_domain::reason::{Fault, Reason};
use lepton_models::Models;
use tokio::sync::watch;

use super::Backend;
use super::host::Host;
use crate::memory::Memory;

/// Models as kinds see them.
#[derive(Debug, Clone)]
pub struct Library {
    /// The registry.
    pub models: Models,
    /// The workers, and what they have in memory.
    pub directory: Directory,
    /// What this worker has in memory.
    pub host: Host,
    /// What runs files that are not deployed.
    pub backend: Arc<dyn Backend>,
    /// The blob store, as soon as it is open.
    pub opened: watch::Receiver<Option<Blobs>>,
    /// What uploads and models take that single attempts fetch. Apart from that of payloads, so that nobody waits for a
    /// part of what he holds another part of.
    pub memory: Memory,
}

impl Library {
    /// The blob store; waits for it. Attempts only run once it is open.
    pub async fn blobs(&self) -> Result<Blobs, Fault> {
        let mut opened = self.opened.clone();
        let blobs = opened
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|blobs| blobs.clone());
        blobs.ok_or_else(|| Fault::new(Reason::BlobUnavailable, "the blob store is not open"))
    }
}
