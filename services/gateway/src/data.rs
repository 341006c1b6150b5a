//! `lepton.data.v1.DataService`: tables that are uploaded once and then named by tasks.
//!
//! Promises: an upload is on disk when it is answered, and has a name that was never given before; how many there are, and
//! how large they are together, is limited. Any content is kept: the task that reads it finds out its format, or refuses it.

use lepton_core::blob::{Area, digest_of};
use lepton_core::context::Context;
use lepton_core::error;
use lepton_domain::ids::Tenant;
use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::text::excerpt;
use lepton_proto::convert::time::timestamp;
use lepton_proto::data::v1::data_service_server::DataService;
use lepton_proto::data::v1::*;
use serde::{Deserialize, Serialize};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::request::Caller;
use crate::tasks::payloads::Payloads;

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
            let message = "the body is empty; send CSV with a header line, or JSON rows";
            return Err(ApiError::field("content", message));
        }
        let blobs = self.store.store()?;
        let kept = blobs.list_objects(Area::Uploads).await?;
        let (count, bytes) = (kept.len(), kept.iter().map(|object| object.bytes).sum::<u64>());
        self.check_room(&caller.tenant, count, bytes, content.len() as u64)?;
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
    fn check_room(&self, tenant: &Tenant, count: usize, bytes: u64, more: u64) -> Result<(), ApiError> {
        let DataConfig {
            uploads_max,
            uploads_bytes_max,
        } = self.config;
        if count < uploads_max && bytes.saturating_add(more) <= uploads_bytes_max {
            return Ok(());
        }
        let used = format!("{count} of {uploads_max} uploads, {bytes} of {uploads_bytes_max} bytes");
        let message = format!("there is no room for {more} more bytes ({used}); delete uploads that no task needs");
        Err(ApiError::new(Reason::QuotaExceeded, message).quota(format!("tenant:{tenant}"), used))
    }

    async fn delete(&self, request: DeleteBlobRequest) -> Result<DeleteBlobResponse, ApiError> {
        let name = request.blob;
        if !is_upload(&name) {
            let shown = excerpt(&name);
            let message = format!("{shown:?} is no upload; their names are {PREFIX} and a UUID");
            return Err(ApiError::field("blob", message));
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
    async fn upload_blob(&self, request: Request<UploadBlobRequest>) -> Result<Response<UploadBlobResponse>, Status> {
        let upload = async {
            let caller = Caller::of(request.extensions())?;
            self.upload(&caller, request.into_inner()).await
        };
        let answer = upload.await;
        answer.map(Response::new).map_err(|error| error::status(&error))
    }

    async fn delete_blob(&self, request: Request<DeleteBlobRequest>) -> Result<Response<DeleteBlobResponse>, Status> {
        let answer = self.delete(request.into_inner()).await;
        answer.map(Response::new).map_err(|error| error::status(&error))
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
