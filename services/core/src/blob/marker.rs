//! The object that names the owner of the store.
//!
//! Promises: written once, by whoever opens the store first. A service that was given another directory than its
//! peers, or a store of an older incarnation, finds out at start and not when a payload is missing.

use lepton_domain::reason::{ApiError, Reason};
use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutPayload};

use super::{Blobs, unavailable};

/// The marker's name; no task id and no archive looks like it.
const NAME: &str = "lepton-incarnation";

/// Writes the marker into a new store, or compares it.
pub(super) async fn check(blobs: &Blobs, incarnation: &str) -> Result<(), ApiError> {
    let path = Path::from(NAME);
    let payload = PutPayload::from(incarnation.as_bytes().to_vec());
    match blobs.store.put_opts(&path, payload, PutMode::Create.into()).await {
        Ok(_) => return Ok(()),
        Err(object_store::Error::AlreadyExists { .. }) => {}
        Err(error) => return Err(unavailable(&path, &error)),
    }
    let found = blobs.read(&path).await?.unwrap_or_default();
    if found == incarnation.as_bytes() {
        return Ok(());
    }
    let found = String::from_utf8_lossy(&found);
    let message = format!(
        "the blob store is marked with incarnation {found}, the cluster is {incarnation}: give the store of this cluster"
    );
    Err(ApiError::new(Reason::BlobStoreMismatch, message))
}
