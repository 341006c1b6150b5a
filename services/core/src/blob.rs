//! The blob store: payloads and results that are too large for the journal.
//!
//! Promises: a put has reached the disk of the marked store when it returns; a get is checked against its digest; a
//! store belongs to one cluster, and one without its marker is away: nothing is written into it, and what it lacks does
//! not count as deleted. Blobs are never shared between tasks, so a task's go with it. Leaves deciding what is large,
//! and when a task's blobs may go, to the services.

mod directory;
pub mod health;
mod marker;
mod object;

use std::path::Path as FsPath;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use lepton_domain::ids::{ContentDigest, TaskId};
use lepton_domain::reason::{ApiError, Reason};
use lepton_proto::convert::task::sha256;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

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
    store: Arc<LocalFileSystem>,
    /// Directory of the store.
    root: Arc<FsPath>,
    /// Text of the marker that the store must carry.
    marker: Arc<str>,
    /// Set while the last write failed; see [`health`].
    write_failed: Arc<AtomicBool>,
}

impl Blobs {
    /// Opens the store at `location`: a directory, which is made, or a `file://` URL. The first to open it marks it
    /// with this text; afterwards only who gives the same text opens it.
    pub async fn open(location: &str, marker: &str) -> Result<Self, ApiError> {
        let directory = directory_of(location)?;
        tokio::fs::create_dir_all(directory)
            .await
            .map_err(|error| unusable(directory, &error))?;
        let blobs = Self::at(directory, marker)?;
        marker::write(&blobs).await?;
        Ok(blobs)
    }

    /// Opens a store that has been marked before. Neither the directory nor the marker is made: where one is missing,
    /// the store is away, and the refusal is [`Reason::BlobUnavailable`].
    pub async fn reopen(location: &str, marker: &str) -> Result<Self, ApiError> {
        let directory = directory_of(location)?;
        if !tokio::fs::try_exists(directory).await.unwrap_or(true) {
            return Err(away(&format!("there is no directory {}", directory.display())));
        }
        let blobs = Self::at(directory, marker)?;
        marker::compare(&blobs).await?;
        Ok(blobs)
    }

    fn at(directory: &FsPath, marker: &str) -> Result<Self, ApiError> {
        let root = directory.canonicalize().map_err(|error| unusable(directory, &error))?;
        let store = LocalFileSystem::new_with_prefix(&root).map_err(|error| unusable(directory, &error))?;
        Ok(Self {
            root: root.into(),
            store: Arc::new(store.with_fsync(true).with_automatic_cleanup(true)),
            marker: marker.into(),
            write_failed: Arc::default(),
        })
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
        if paths.is_empty() {
            // A store that is away shows nothing and keeps everything.
            return marker::verify(self).await;
        }
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

    /// Writes an object into the marked store and into no other.
    async fn write(&self, path: &Path, content: Bytes) -> Result<(), ApiError> {
        let written = self.write_marked(path, content).await;
        self.write_failed.store(written.is_err(), Ordering::Relaxed);
        written
    }

    async fn write_marked(&self, path: &Path, content: Bytes) -> Result<(), ApiError> {
        // A directory whose share is not mounted would take the content, and lose it when the share is back.
        marker::verify(self).await?;
        let (root, file) = (self.root.clone(), self.store.path_to_filesystem(path));
        let file = file.map_err(|error| unavailable(path, &error))?;
        let writing = tokio::task::spawn_blocking(move || directory::write(&root, &file, &content));
        let written = writing.await.expect("writing neither panics nor is aborted");
        written.map_err(|error| unavailable(path, &error))?;
        // The share may have gone in between: only what is seen beside the marker lies in the store.
        marker::verify(self).await?;
        let seen = self.store.head(path).await;
        seen.map(drop).map_err(|error| unavailable(path, &error))
    }

    /// Reads an object; `None` where the store, which is not away, has none.
    async fn read(&self, path: &Path) -> Result<Option<Bytes>, ApiError> {
        let found = self.fetch(path).await?;
        if found.is_none() {
            marker::verify(self).await?;
        }
        Ok(found)
    }

    async fn fetch(&self, path: &Path) -> Result<Option<Bytes>, ApiError> {
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

/// The directory that a location names.
fn directory_of(location: &str) -> Result<&FsPath, ApiError> {
    match location.split_once("://") {
        None => Ok(FsPath::new(location)),
        Some(("file", path)) => Ok(FsPath::new(path)),
        Some((scheme, _)) => {
            let message = format!("blob: {scheme}:// is not built into this program; give a shared directory");
            Err(ApiError::new(Reason::ConfigInvalid, message))
        }
    }
}

fn unusable(directory: &FsPath, error: &dyn std::fmt::Display) -> ApiError {
    let message = format!(
        "blob directory {}: {error}; make it writable or give another",
        directory.display()
    );
    ApiError::new(Reason::DataDirNotWritable, message)
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

/// The refusal of a store that is not there, or not this one.
fn away(finding: &str) -> ApiError {
    let message = format!("the blob store is away: {finding}; bring it back, as by mounting the share again");
    ApiError::new(Reason::BlobUnavailable, message).retry_after(RETRY)
}

fn unavailable(path: &Path, error: &dyn std::fmt::Display) -> ApiError {
    ApiError::new(Reason::BlobUnavailable, format!("blob {path}: {error}")).retry_after(RETRY)
}
