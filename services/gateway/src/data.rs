//! `lepton.data.v1.DataService`: tables that are uploaded once and then named by tasks.
//!
//! Promises: an upload is on disk when it is answered, and has a name that was never given before; how many there are, and
//! how large they are together, is limited. Any content is kept: the task that reads it finds out its format, or refuses it.

use lepton_core::blob::{Area, digest_of};
use lepton_core::context::Context;
use lepton_domain::reason::ApiError;
use lepton_proto::convert::time::timestamp;
use lepton_proto::data::v1::data_service_server::DataService;
use lepton_proto::data::v1::*;
use serde::{Deserialize, Serialize};
use tonic::Request;
use uuid::Uuid;

use self::error::DataError;
use crate::request::Caller;
use crate::request::unary::{Answer, answer};
use crate::tasks::payloads::Payloads;

mod error;

/// Prefix of the names of uploads.
const PREFIX: &str = "upload-";

/// Limits of uploads: section `[data]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Maximum of uploads that are kept.
    pub uploads_max: usize,
    /// Maximum of their bytes together.
    pub uploads_bytes_max: u64,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            uploads_max: 10_000,
            uploads_bytes_max: 16 << 30,
        }
    }
}

/// The service.
#[derive(Debug, Clone)]
pub struct Data {
    /// The store of uploads.
    pub store: Payloads,
    /// Time and randomness.
    pub context: Context,
    /// Limits.
    pub config: DataConfig,
}

impl Data {
    async fn upload(&self, caller: &Caller, request: UploadBlobRequest) -> Result<UploadBlobResponse, ApiError> {
        let content = request.content;
        if content.is_empty() {
            return Err(DataError::Empty.into());
        }
        let blobs = self.store.store()?;
        let kept = blobs.list_objects(Area::Uploads).await?;
        let (count, bytes) = (kept.len(), kept.iter().map(|object| object.bytes).sum::<u64>());
        self.check_room(caller, count, bytes, content.len() as u64)?;
        let id = uuid::Builder::from_random_bytes(self.context.random.next_u128().to_be_bytes()).into_uuid();
        let blob = Blob {
            blob: format!("{PREFIX}{}", id.hyphenated()),
            digest: digest_of(&content).await.to_string(),
            bytes: content.len() as u64,
            create_time: Some(timestamp(self.context.clock.now())),
        };
        blobs.put_object(Area::Uploads, &blob.blob, content).await?;
        Ok(UploadBlobResponse { blob: Some(blob) })
    }

    /// Refuses an upload that there is no room for. Uploads at the same moment may go a little beyond.
    fn check_room(&self, caller: &Caller, count: usize, bytes: u64, more: u64) -> Result<(), DataError> {
        let DataConfig {
            uploads_max,
            uploads_bytes_max,
        } = self.config;
        if count < uploads_max && bytes.saturating_add(more) <= uploads_bytes_max {
            return Ok(());
        }
        let used = format!("{count} of {uploads_max} uploads, {bytes} of {uploads_bytes_max} bytes");
        let tenant = caller.tenant.clone();
        Err(DataError::NoRoom { tenant, used, more })
    }

    async fn delete(&self, _caller: &Caller, request: DeleteBlobRequest) -> Result<DeleteBlobResponse, ApiError> {
        let name = request.blob;
        if !is_upload(&name) {
            return Err(DataError::NotUpload(name).into());
        }
        let blobs = self.store.store()?;
        blobs.delete_object(Area::Uploads, &name).await?;
        Ok(DeleteBlobResponse {})
    }
}

/// True for the name of an upload, in the very form that uploads are given.
fn is_upload(name: &str) -> bool {
    let id = name.strip_prefix(PREFIX);
    id.is_some_and(|id| Uuid::parse_str(id).is_ok_and(|uuid| uuid.hyphenated().to_string() == id))
}

#[tonic::async_trait]
impl DataService for Data {
    async fn upload_blob(&self, request: Request<UploadBlobRequest>) -> Answer<UploadBlobResponse> {
        answer(request, async |caller, request| self.upload(&caller, request).await).await
    }

    async fn delete_blob(&self, request: Request<DeleteBlobRequest>) -> Answer<DeleteBlobResponse> {
        answer(request, async |caller, request| self.delete(&caller, request).await).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_uploads_are_uploads() {
        assert!(is_upload("upload-00000000-0000-4000-8000-000000000001"));
        for name in [
            "",
            "upload-",
            "upload-x",
            "../models/a",
            "00000000-0000-4000-8000-000000000001",
        ] {
            assert!(!is_upload(name), "{name}");
        }
        assert!(!is_upload("upload-00000000-0000-4000-8000-00000000000A"));
        assert!(!is_upload("upload-00000000000040008000000000000001"));
    }
}
