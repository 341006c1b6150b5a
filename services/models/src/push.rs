//! Adding a version: its file first, then its record.
//!
//! Promises: a record never names a file that is not there; a file that no record will name is deleted, at once or by
//! `sweep`. Leaves looking at the file to the workers.

use std::collections::BTreeMap;

use bytes::Bytes;
use lepton_domain::model::{Change, Model, NewVersion, Signature, check_name};
use lepton_domain::reason::{ApiError, Reason};
use uuid::Uuid;

use super::Models;
use lepton_core::blob::{Area, Blobs, digest_of};

/// A file that lies in the blob store and has no version yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name in the area for models.
    pub blob: String,
    /// Its digest.
    pub digest: lepton_domain::ids::ContentDigest,
    /// Its size.
    pub bytes: u64,
}

impl Models {
    /// Keeps a file as a version and gives the model and the version's number. A file that the model has already is
    /// that version. `number` is for those who number versions themselves.
    pub async fn push(
        &self,
        blobs: &Blobs,
        name: &str,
        content: Bytes,
        signature: Signature,
        lineage: BTreeMap<String, String>,
        number: Option<u32>,
    ) -> Result<(Model, u32), ApiError> {
        check_name(name)?;
        let digest = digest_of(&content).await;
        let known = self.read(name).await?;
        if let Some((model, version)) = known.and_then(|model| {
            let version = model.with_digest(digest)?.number;
            Some((model, version))
        }) {
            return Ok((model, version));
        }
        let file = self.store(blobs, name, content).await?;
        self.register(blobs, name, file, signature, lineage, number).await
    }

    /// Puts a file under a fresh name.
    pub async fn store(&self, blobs: &Blobs, name: &str, content: Bytes) -> Result<File, ApiError> {
        check_name(name)?;
        let id = uuid::Builder::from_random_bytes(self.random.next_u128().to_be_bytes()).into_uuid();
        let file = File {
            blob: blob_name(name, id),
            digest: digest_of(&content).await,
            bytes: content.len() as u64,
        };
        blobs.put_object(Area::Models, &file.blob, content).await?;
        Ok(file)
    }

    /// Makes a stored file a version. Deletes it where it becomes none.
    pub async fn register(
        &self,
        blobs: &Blobs,
        name: &str,
        file: File,
        signature: Signature,
        lineage: BTreeMap<String, String>,
        number: Option<u32>,
    ) -> Result<(Model, u32), ApiError> {
        let new = NewVersion {
            number,
            digest: file.digest,
            blob: file.blob.clone(),
            bytes: file.bytes,
            created: self.clock.now(),
            signature,
            lineage,
        };
        match self.make(name, Change::Push(Box::new(new))).await {
            Ok(made) => {
                if let Some(orphan) = &made.decision.orphan {
                    discard(blobs, orphan).await;
                }
                Ok((made.decision.model, made.decision.version))
            }
            Err(error) => {
                // A record may name it all the same where the outcome is not known.
                if error.reason != Reason::OutcomeUnknown {
                    discard(blobs, &file.blob).await;
                }
                Err(error)
            }
        }
    }

    /// Forgets a version, then deletes its file. Fails with MODEL_IN_USE while it is deployed.
    pub async fn delete(&self, blobs: &Blobs, name: &str, version: u32) -> Result<Model, ApiError> {
        let made = self.make(name, Change::Delete { version }).await?;
        if let Some(orphan) = &made.decision.orphan {
            discard(blobs, orphan).await;
        }
        Ok(made.decision.model)
    }
}

/// Deletes a file that no record names. What cannot be deleted now is swept later.
pub async fn discard(blobs: &Blobs, blob: &str) {
    if let Err(error) = blobs.delete_object(Area::Models, blob).await {
        tracing::warn!(blob, %error, "a model's file stays for now");
    }
}

fn blob_name(name: &str, id: Uuid) -> String {
    format!("{name}/{}", id.hyphenated())
}
