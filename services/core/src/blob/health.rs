//! Health of the blob store, as the condition [`BLOB_STORE_UNAVAILABLE`].
//!
//! Promises: a store whose marker cannot be read, or is gone with its directory, is reported within some seconds, also
//! while nobody uses it; so is one that takes no writes, from the first write that fails; the condition ends when the
//! same succeeds again. Leaves what callers get to the calls themselves.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use lepton_domain::condition::BLOB_STORE_UNAVAILABLE;
use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::text::redacted_address;

use super::{Blobs, RETRY, marker};
use crate::conditions::Conditions;

/// Interval of the probes.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// Time after which a probe has failed, as on a file system whose server is gone.
const PROBE_MAX: Duration = Duration::from_secs(10);
/// Failures in a row that count: one alone may be a hiccup.
const FAILURES_MIN: u32 = 2;
/// Archived object that is written to find out if writes succeed again.
const PROBE_NAME: &str = "probe";

/// Reports the health of one store to [`Conditions`].
#[derive(Debug, Clone)]
pub struct BlobHealth {
    conditions: Conditions,
    location: String,
}

impl BlobHealth {
    /// Health of the store at `location`, as it is configured.
    pub fn new(conditions: Conditions, location: &str) -> Self {
        Self {
            conditions,
            location: redacted_address(location).into_owned(),
        }
    }

    /// Raises the condition if the store did not answer, and clears it if it did. Other errors say nothing about it.
    pub fn record<T>(&self, outcome: &Result<T, ApiError>) {
        match outcome {
            Ok(_) => self.conditions.clear(BLOB_STORE_UNAVAILABLE, &self.location),
            Err(error) if error.reason == Reason::BlobUnavailable => self.raise(&error.message),
            Err(_) => {}
        }
    }

    /// Probes an open store again and again, until it is dropped.
    pub async fn watch(self, blobs: Blobs) -> Infallible {
        let mut failures = 0;
        loop {
            let outcome = tokio::time::timeout(PROBE_MAX, blobs.probe()).await;
            let outcome = outcome.unwrap_or_else(|_| Err(unavailable("it does not answer")));
            failures = if outcome.is_ok() { 0 } else { failures + 1 };
            if failures == 0 || failures >= FAILURES_MIN {
                self.record(&outcome);
            }
            tokio::time::sleep(PROBE_INTERVAL).await;
        }
    }

    fn raise(&self, message: &str) {
        let location = &self.location;
        let text = format!(
            "the blob store {location} cannot be used ({message}): large payloads and models are unavailable until it is back"
        );
        self.conditions
            .raise(BLOB_STORE_UNAVAILABLE, "blob-store", location, &text);
    }
}

impl Blobs {
    /// Checks that the store is there and answers; after a failed write, that it takes writes as well. Fails with
    /// BLOB_UNAVAILABLE.
    async fn probe(&self) -> Result<(), ApiError> {
        marker::verify(self).await?;
        if self.write_failed.load(Ordering::Relaxed) {
            self.put_named(PROBE_NAME, Bytes::from_static(b"probe")).await?;
        }
        Ok(())
    }
}

fn unavailable(message: &str) -> ApiError {
    ApiError::new(Reason::BlobUnavailable, message).retry_after(RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stands(conditions: &Conditions) -> bool {
        !conditions.standing().is_empty()
    }

    async fn until(conditions: &Conditions, expected: bool) {
        let reached = async {
            while stands(conditions) != expected {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), reached).await;
        assert!(waited.is_ok(), "the condition stands: {:?}", conditions.standing());
    }

    #[tokio::test]
    async fn a_store_that_goes_away_is_reported_until_it_is_back() {
        let parent = tempdir();
        let (store, away) = (parent.join("blobs"), parent.join("away"));
        let location = store.to_str().expect("a path in UTF-8");
        let blobs = Blobs::open(location, "a").await.expect("opened");
        let conditions = Conditions::default();
        let watching = tokio::spawn(BlobHealth::new(conditions.clone(), location).watch(blobs));
        std::fs::rename(&store, &away).expect("renamed");
        until(&conditions, true).await;
        let condition = conditions.standing().remove(0);
        assert_eq!(
            (condition.kind.as_str(), condition.key.as_str()),
            ("blob-store-unavailable", location)
        );
        assert!(condition.text.contains("is missing"), "{condition:?}");
        std::fs::rename(&away, &store).expect("renamed");
        until(&conditions, false).await;
        watching.abort();
        std::fs::remove_dir_all(&parent).expect("removed");
    }

    #[tokio::test]
    async fn a_failed_write_counts_until_one_succeeds() {
        let parent = tempdir();
        let blobs = Blobs::open(parent.to_str().expect("a path in UTF-8"), "a")
            .await
            .expect("opened");
        // A file where the archive's directory should be makes every write to it fail, whoever runs this.
        let archive = parent.join("archive");
        std::fs::write(&archive, "").expect("written");
        blobs.put_named("x", Bytes::new()).await.expect_err("no directory");
        let error = blobs.probe().await.expect_err("writes still fail");
        assert_eq!(error.reason, Reason::BlobUnavailable);
        std::fs::remove_file(&archive).expect("removed");
        blobs.probe().await.expect("a write succeeds");
        std::fs::remove_dir_all(&parent).expect("removed");
    }

    fn tempdir() -> std::path::PathBuf {
        let name = format!("lepton-health-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary directory");
        path
    }
}
