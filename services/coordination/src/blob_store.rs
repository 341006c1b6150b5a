//! The blob store of a cluster: opened by its marker, whose text etcd keeps.
//!
//! Promises: a store is marked once. From then on a service that finds a directory without the marker waits for the
//! store, instead of taking an empty directory for it; this holds for a service that starts as for one that runs. The
//! marker's text is the incarnation in which the store was marked, and stays when a later one follows. Leaves the store
//! itself to [`Blobs`].

use etcd_client::{Compare, CompareOp, TxnOp};
use lepton_core::blob::Blobs;
use lepton_core::random::Random;
use lepton_domain::reason::{ApiError, Reason};

use crate::etcd::identity::{self, Identity};
use crate::etcd::{Etcd, EtcdError, incarnation};

/// Opens the store at `location` for this cluster, and returns the present incarnation with it.
/// [`Reason::JournalUnavailable`] and [`Reason::BlobUnavailable`] mean that it may be opened later.
pub async fn open(etcd: &Etcd, random: &Random, location: &str) -> Result<(String, Blobs), ApiError> {
    let api_error = |error: EtcdError| error.api_error();
    incarnation(etcd, random).await.map_err(api_error)?;
    let stored = identity::read(etcd).await.map_err(api_error)?;
    let Identity { incarnation, marker } = stored.ok_or_else(|| api_error(stale()))?;
    if let Some(marker) = marker {
        let blobs = Blobs::reopen(location, &marker)
            .await
            .map_err(|error| advise(error, location))?;
        return Ok((incarnation, blobs));
    }
    let blobs = Blobs::open(location, &incarnation).await?;
    record(etcd, &incarnation).await.map_err(api_error)?;
    Ok((incarnation, blobs))
}

/// An answer without what was read or made just before.
fn stale() -> EtcdError {
    EtcdError::Unavailable("a read from before the incarnation".to_owned())
}

/// Keeps the text of a marker that has been written. Who comes later finds it kept.
async fn record(etcd: &Etcd, incarnation: &str) -> Result<(), EtcdError> {
    let (now, marker) = (etcd.keys().incarnation(), etcd.keys().blob_marker());
    let compares = vec![
        Compare::value(now, CompareOp::Equal, incarnation),
        Compare::create_revision(marker.as_str(), CompareOp::Equal, 0),
    ];
    let put = TxnOp::put(marker, incarnation, None);
    etcd.txn(compares, vec![put], Vec::new()).await.map(drop)
}

fn advise(error: ApiError, location: &str) -> ApiError {
    if error.reason != Reason::BlobUnavailable {
        return error;
    }
    let message = format!(
        "{} at {location}; give every service the same store with --blob; where it is lost for good, `lepton restore \
         --accept-loss --new-blob-store` begins another",
        error.message
    );
    ApiError { message, ..error }
}
