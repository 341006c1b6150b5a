//! Getting one version from the blob store into memory.
//!
//! Promises: a file that does not match its digest is never loaded. Leaves when to try again to `keeper`.

use std::sync::Arc;
use std::time::Duration;

use lepton_core::blob::{Area, Blobs};
use lepton_domain::model::Version;
use lepton_domain::reason::{Fault, Reason};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::compute::{Compute, Stopped};
use crate::model::{Backend, Loaded};

/// The first pause before another try; each later one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What loading takes. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Loader {
    pub(super) blobs: watch::Receiver<Option<Blobs>>,
    pub(super) backend: Arc<dyn Backend>,
    /// How many load at once.
    pub(super) compute: Compute,
}

impl Loader {
    /// Fetches, checks and prepares a version. Waits for the blob store as long as it takes to open it.
    pub(super) async fn load(mut self, version: Version) -> Result<Arc<dyn Loaded>, Fault> {
        let leaving = |_| Fault::new(Reason::InstanceDraining, "the worker is about to leave");
        let blobs = self.blobs.wait_for(Option::is_some).await.map_err(leaving)?.clone();
        let blobs = blobs.ok_or_else(|| Fault::new(Reason::BlobUnavailable, "the blob store is not open"))?;
        let Version { blob, digest, .. } = &version;
        let file = blobs.get_object_checked(Area::Models, blob, *digest).await?;
        let backend = Arc::clone(&self.backend);
        let prepare = move |stop: &dyn Fn() -> bool| backend.load(&file, stop);
        // A load that is given up is dropped, which stops it.
        let loaded = self.compute.run(&CancellationToken::new(), prepare).await;
        loaded.map_err(|Stopped| Fault::new(Reason::Cancelled, "loading was stopped"))?
    }
}

/// The pause after so many failures in a row, where another try may fare better: where the blob store was at fault, or
/// there was no room.
pub(super) fn pause(fault: &Fault, failures: u32) -> Option<Duration> {
    let passing = matches!(
        fault.reason,
        Reason::BlobUnavailable | Reason::BlobNotFound | Reason::Overloaded
    );
    passing.then(|| PAUSE_MIN.saturating_mul(1 << failures.min(10)).min(PAUSE_MAX))
}
