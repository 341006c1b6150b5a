//! Loading of one version, from the blob store into memory.
//!
//! Promises: a file that does not match its digest is never loaded. Leaves retries to [`Loader`](super::Loader).

use std::sync::Arc;
use std::time::Duration;

use lepton_core::backoff::Backoff;
use lepton_core::blob::{Area, Blobs};
use lepton_domain::model::Version;
use lepton_domain::reason::{ApiError, Reason};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cpu_pool::{CpuPool, Stopped};
use crate::model::{Backend, LoadError, LoadedModel};

/// First pause before another try; each later one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A version that could not be brought into memory.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum FetchError {
    /// A worker that is about to leave.
    #[error("the worker is about to leave")]
    Draining,
    /// A failure of the blob store.
    #[error("{}", .0.message)]
    Blob(ApiError),
    /// A file that the [`Backend`] refuses.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A load that was given up.
    #[error("loading was stopped")]
    Stopped,
    /// A panic of the load.
    #[error("the load panicked: {0}")]
    Panicked(String),
    /// A file that does not fit beside the others.
    #[error("its {bytes} bytes do not fit beside the other models; this worker keeps {mebibytes_max} MiB of files")]
    NoSpace {
        bytes: u64,
        /// Size of all files that may be in memory.
        mebibytes_max: u64,
    },
}

impl FetchError {
    /// Returns whether another try may fare better: the blob store was at fault, or there was no space.
    fn is_retryable(&self) -> bool {
        match self {
            Self::NoSpace { .. } => true,
            Self::Blob(error) => matches!(error.reason, Reason::BlobUnavailable | Reason::BlobNotFound),
            Self::Draining | Self::Load(_) | Self::Stopped | Self::Panicked(_) => false,
        }
    }

    /// Pause before another try after `failures` in a row; none where another try would fail too.
    pub(super) fn retry_after(&self, failures: u32) -> Option<Duration> {
        /// Failures after which the pause has long been the longest.
        const FAILURES_MAX: u32 = 16;
        let mut backoff = Backoff::new(PAUSE_MIN, PAUSE_MAX);
        for _ in 0..failures.min(FAILURES_MAX) {
            backoff.delay();
        }
        self.is_retryable().then(|| backoff.delay())
    }
}

/// Fetches and prepares versions. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Fetcher {
    pub(super) blobs: watch::Receiver<Option<Blobs>>,
    pub(super) backend: Arc<dyn Backend>,
    /// Bounds the loads at once; see [`CacheLimits::loads_max`](super::CacheLimits::loads_max).
    pub(super) cpu_pool: CpuPool,
}

impl Fetcher {
    /// Fetches, checks and prepares a version. Waits for the blob store as long as it takes to open it.
    pub(super) async fn fetch(mut self, version: Version) -> Result<Arc<dyn LoadedModel>, FetchError> {
        let opened = self.blobs.wait_for(Option::is_some).await;
        let blobs = opened
            .ok()
            .and_then(|blobs| blobs.clone())
            .ok_or(FetchError::Draining)?;
        let Version { blob, digest, .. } = &version;
        let file = blobs.get_object_checked(Area::Models, blob, *digest).await;
        let file = file.map_err(FetchError::Blob)?;
        let backend = Arc::clone(&self.backend);
        let prepare = move |stop: &dyn Fn() -> bool| backend.load(&file, stop);
        // A load that is given up is dropped, which stops it.
        let loaded = self.cpu_pool.run(&CancellationToken::new(), prepare).await;
        Ok(loaded.map_err(|Stopped| FetchError::Stopped)??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_the_store_and_of_space_are_retried_ever_more_slowly() {
        let away = FetchError::Blob(ApiError::new(Reason::BlobUnavailable, "away"));
        let pauses = |error: &FetchError| [0, 1, 2, 4, 5, u32::MAX].map(|failures| error.retry_after(failures));
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let growing = [
            seconds(1),
            seconds(2),
            seconds(4),
            seconds(16),
            seconds(30),
            seconds(30),
        ];
        assert_eq!(pauses(&away), growing);
        let full = FetchError::NoSpace {
            bytes: 7,
            mebibytes_max: 1,
        };
        assert_eq!(pauses(&full), growing);
    }

    #[test]
    fn a_file_that_is_wrong_is_not_loaded_again() {
        for error in [
            FetchError::Load(LoadError::Unsupported("x".to_owned())),
            FetchError::Blob(ApiError::new(Reason::DataCorrupt, "x")),
            FetchError::Panicked("x".to_owned()),
            FetchError::Stopped,
            FetchError::Draining,
        ] {
            assert_eq!(error.retry_after(0), None, "{error}");
        }
    }
}
