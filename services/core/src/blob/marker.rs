//! The object that names the owner of the store.
//!
//! Promises: written once, by whoever opens the store first. A service that was given another directory than its
//! peers, or another cluster's store, finds out at start and not when a payload is missing; one whose store goes away
//! while it runs finds out before it writes beside it.
//!
//! On a local directory a check is two system calls. A store behind a network would want an answer that is kept for a
//! short time.

use lepton_domain::reason::{ApiError, Reason};
use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutPayload};

use super::{Blobs, away, unavailable};

/// The marker's name; no task id and no archive looks like it.
const NAME: &str = "lepton-incarnation";

/// Writes the marker into a new store, or compares it.
pub(super) async fn write(blobs: &Blobs) -> Result<(), ApiError> {
    let path = Path::from(NAME);
    let payload = PutPayload::from(blobs.marker.as_bytes().to_vec());
    match blobs.store.put_opts(&path, payload, PutMode::Create.into()).await {
        Ok(_) => Ok(()),
        Err(object_store::Error::AlreadyExists { .. }) => compare(blobs).await,
        Err(error) => Err(unavailable(&path, &error)),
    }
}

/// Compares the marker when the store is opened. Another marker is a wrong configuration, which waiting does not cure.
pub(super) async fn compare(blobs: &Blobs) -> Result<(), ApiError> {
    let found = find(blobs).await?;
    if found == blobs.marker.as_bytes() {
        return Ok(());
    }
    let message = format!(
        "the blob store is marked with {}, this cluster's with {}: give the store of this cluster",
        String::from_utf8_lossy(&found),
        blobs.marker
    );
    Err(ApiError::new(Reason::BlobStoreMismatch, message))
}

/// Checks that the store is still there. Another marker means that another directory is in its place, for now.
pub(super) async fn verify(blobs: &Blobs) -> Result<(), ApiError> {
    let found = find(blobs).await?;
    if found == blobs.marker.as_bytes() {
        return Ok(());
    }
    let found = String::from_utf8_lossy(&found);
    Err(away(&format!("a store with the marker {found} is in its place")))
}

async fn find(blobs: &Blobs) -> Result<bytes::Bytes, ApiError> {
    let found = blobs.fetch(&Path::from(NAME)).await?;
    found.ok_or_else(|| away(&format!("its marker {NAME} is missing")))
}
