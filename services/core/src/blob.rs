//! The blob store: payloads and results that are too large for the journal.
//!
//! Promises: a put has reached the disk when it returns; a get is checked against its digest; a store belongs to one
//! incarnation of the cluster, and a store without its marker is refused. Blobs are never shared between tasks, so a
//! task's go with it. Leaves deciding what is large, and when a task's blobs may go, to the services.

mod marker;
mod object;

use std::path::Path as FsPath;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use lepton_domain::ids::{ContentDigest, TaskId};
use lepton_domain::reason::{ApiError, Reason};
use lepton_proto::convert::task::sha256;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

pub use object::{Area, Object};

#[cfg(test)]
mod tests;

/// Folder of named objects, apart from every task's.
const ARCHIVE: &str = "archive";

/// Contents up to this size are hashed at once: it takes less than handing them to another thread.
const DIGEST_INLINE_BYTES_MAX: usize = 64 * 1024;

/// Retry delay of a call that the store did not answer.
const RETRY: Duration = Duration::from_secs(1);

/// A handle on the blob store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
}

impl Blobs {
    /// Opens the store at `location`: a directory, which is made, or a `file://` URL. The first to open it marks it
    /// with the cluster's incarnation; afterwards only the same incarnation opens it.
    pub async fn open(location: &str, incarnation: &str) -> Result<Self, ApiError> {
        let directory = match location.split_once("://") {
            None => location,
            Some(("file", path)) => path,
            Some((scheme, _)) => {
                let message = format!("blob: {scheme}:// is not built into this program; give a shared directory");
                return Err(ApiError::new(Reason::ConfigInvalid, message));
            }
        };
        let blobs = Self {
            store: Arc::new(local(directory.as_ref()).await?),
        };
        marker::check(&blobs, incarnation).await?;
        Ok(blobs)
    }

    /// Stores a content for a task and gives its digest. Doing it again changes nothing.
    pub async fn put(&self, task: TaskId, content: Bytes) -> Result<ContentDigest, ApiError> {
        let digest = digest_of(&content).await;
        self.write(&blob_path(task, digest), content).await?;
        Ok(digest)
    }

    /// The content with this digest that was stored for the task.
    pub async fn get(&self, task: TaskId, digest: ContentDigest) -> Result<Bytes, ApiError> {
        let path = blob_path(task, digest);
        let content = self.read(&path).await?.ok_or_else(|| absent(&path))?;
        if digest_of(&content).await != digest {
            return Err(ApiError::new(
                Reason::DataCorrupt,
                format!("blob {path} does not match its digest"),
            ));
        }
        Ok(content)
    }

    /// Deletes whatever was stored for a task.
    pub async fn delete_task(&self, task: TaskId) -> Result<(), ApiError> {
        let prefix = Path::from(task.to_string());
        let found = self.store.list(Some(&prefix)).map_ok(|object| object.location);
        let paths: Vec<Path> = found
            .try_collect()
            .await
            .map_err(|error| unavailable(&prefix, &error))?;
        for path in paths {
            match self.store.delete(&path).await {
                // Somebody else deletes the same task's blobs.
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(unavailable(&path, &error)),
            }
        }
        Ok(())
    }

    /// Stores an archived object under a name such as `journal/0001`. The last content wins.
    pub async fn put_named(&self, name: &str, content: Bytes) -> Result<(), ApiError> {
        self.write(&named_path(name), content).await
    }

    /// An archived object, if there is one of this name.
    pub async fn get_named(&self, name: &str) -> Result<Option<Bytes>, ApiError> {
        self.read(&named_path(name)).await
    }

    async fn write(&self, path: &Path, content: Bytes) -> Result<(), ApiError> {
        let put = self.store.put(path, PutPayload::from_bytes(content)).await;
        put.map(|_| ()).map_err(|error| unavailable(path, &error))
    }

    async fn read(&self, path: &Path) -> Result<Option<Bytes>, ApiError> {
        let content = match self.store.get(path).await {
            Ok(object) => object.bytes().await,
            Err(error) => Err(error),
        };
        match content {
            Ok(content) => Ok(Some(content)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(unavailable(path, &error)),
        }
    }
}

/// The digest of a content. That of a large one takes long, so it is not computed where requests are answered.
pub async fn digest_of(content: &Bytes) -> ContentDigest {
    if content.len() <= DIGEST_INLINE_BYTES_MAX {
        return sha256(content);
    }
    let content = content.clone();
    let hashing = tokio::task::spawn_blocking(move || sha256(&content));
    hashing.await.expect("hashing neither panics nor is aborted")
}

async fn local(directory: &FsPath) -> Result<LocalFileSystem, ApiError> {
    let refused = |error: &dyn std::fmt::Display| {
        let message = format!(
            "blob directory {}: {error}; make it writable or give another",
            directory.display()
        );
        ApiError::new(Reason::DataDirNotWritable, message)
    };
    tokio::fs::create_dir_all(directory)
        .await
        .map_err(|error| refused(&error))?;
    let store = LocalFileSystem::new_with_prefix(directory).map_err(|error| refused(&error))?;
    Ok(store.with_fsync(true).with_automatic_cleanup(true))
}

fn blob_path(task: TaskId, digest: ContentDigest) -> Path {
    Path::from_iter([task.to_string(), digest.to_string()])
}

fn named_path(name: &str) -> Path {
    Path::from(format!("{ARCHIVE}/{name}"))
}

fn absent(path: &Path) -> ApiError {
    ApiError::new(
        Reason::BlobNotFound,
        format!("there is no blob {path}; its task may have been purged"),
    )
}

fn unavailable(path: &Path, error: &object_store::Error) -> ApiError {
    ApiError::new(Reason::BlobUnavailable, format!("blob {path}: {error}")).retry_after(RETRY)
}
