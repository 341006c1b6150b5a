//! Cleaning up after pushes that were broken off and models that are long gone.
//!
//! Promises: deletes a file only when no record names it and it is older than any push lasts; the records are read
//! after the files are listed, so a file that became a version meanwhile is seen to be named. Any number of instances
//! may sweep at a time. Leaves when to sweep to the caller.

use std::collections::BTreeSet;
use std::time::Duration;

use etcd_client::{Compare, CompareOp, TxnOp};
use lepton_domain::reason::ApiError;

use super::Models;
use super::push::discard;
use lepton_core::blob::{Area, Blobs};

/// Age from which no push can still refer to a file.
const ABANDONED_AFTER: Duration = Duration::from_secs(60 * 60);
/// Number of deleted models that are remembered, for the version numbers that they have used up.
const DELETED_MAX: usize = 1_000;

impl Models {
    /// Deletes files that no record refers to; returns their number.
    pub async fn sweep(&self, blobs: &Blobs) -> Result<usize, ApiError> {
        let now = self.clock.now();
        let mut abandoned = blobs.list_objects(Area::Models).await?;
        abandoned.retain(|object| now.since(object.modified) > ABANDONED_AFTER);
        let records = self.records().await?;
        let named: BTreeSet<&str> = records
            .iter()
            .flat_map(|(record, _)| &record.model.versions)
            .map(|version| version.blob.as_str())
            .collect();
        abandoned.retain(|object| !named.contains(object.name.as_str()));
        for object in &abandoned {
            discard(blobs, &object.name).await;
        }
        let gone = records.iter().filter(|(record, _)| record.model.is_deleted());
        let mut gone: Vec<(i64, &str)> = gone.map(|(record, at)| (*at, record.model.name.as_str())).collect();
        gone.sort_unstable();
        for (revision, name) in &gone[..gone.len().saturating_sub(DELETED_MAX)] {
            self.forget(name, *revision).await?;
        }
        Ok(abandoned.len())
    }

    /// Removes the record of a deleted model unless it has changed.
    async fn forget(&self, name: &str, revision: i64) -> Result<(), ApiError> {
        let key = self.etcd.keys().model(name);
        let unchanged = vec![Compare::mod_revision(key.as_str(), CompareOp::Equal, revision)];
        let delete = vec![TxnOp::delete(key, None)];
        let answer = self.etcd.txn(unchanged, delete, Vec::new()).await;
        answer.map(drop).map_err(|error| error.api_error())
    }
}
