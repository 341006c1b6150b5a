//! Files with names of their own: models and uploads.
//!
//! Promises: durable when a put returns; a delete may be repeated; no name leads out of its area. Leaves choosing names
//! that are never used twice to the callers.

use bytes::Bytes;
use futures::TryStreamExt;
use lepton_domain::ids::ContentDigest;
use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::text::excerpt;
use lepton_domain::time::Timestamp;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::{Blobs, digest_of, unavailable};

/// A part of the store. No task's id looks like its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// Files of models.
    Models,
    /// Files that clients have uploaded.
    Uploads,
}

impl Area {
    const fn as_str(self) -> &'static str {
        match self {
            Area::Models => "models",
            Area::Uploads => "uploads",
        }
    }

    /// Location of a name. Parts such as `..` are escaped, not followed.
    fn path(self, name: &str) -> Path {
        Path::from_iter(std::iter::once(self.as_str()).chain(name.split('/')))
    }
}

/// A stored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name in its area.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Time of the write, by the store's clock.
    pub modified: Timestamp,
}

impl Blobs {
    /// Stores an object. The last content wins.
    pub async fn put_object(&self, area: Area, name: &str, content: Bytes) -> Result<(), ApiError> {
        self.write(&area.path(name), content).await
    }

    /// An object; BLOB_NOT_FOUND where there is none.
    pub async fn get_object(&self, area: Area, name: &str) -> Result<Bytes, ApiError> {
        let found = self.read(&area.path(name)).await?;
        found.ok_or_else(|| {
            let shown = excerpt(name);
            let message = format!("there is no blob {shown:?}; it may have been deleted");
            ApiError::new(Reason::BlobNotFound, message).with("blob", shown)
        })
    }

    /// An object whose digest is known; DATA_CORRUPT where it is another.
    pub async fn get_object_checked(&self, area: Area, name: &str, digest: ContentDigest) -> Result<Bytes, ApiError> {
        let content = self.get_object(area, name).await?;
        if digest_of(&content).await == digest {
            return Ok(content);
        }
        let message = format!("blob {name:?} does not match its digest {digest}");
        Err(ApiError::new(Reason::DataCorrupt, message).with("blob", name))
    }

    /// Deletes an object; one that is gone already is fine.
    pub async fn delete_object(&self, area: Area, name: &str) -> Result<(), ApiError> {
        let path = area.path(name);
        match self.store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(unavailable(&path, &error)),
        }
    }

    /// Every object of an area.
    pub async fn list_objects(&self, area: Area) -> Result<Vec<Object>, ApiError> {
        let prefix = Path::from(area.as_str());
        let found = self.store.list(Some(&prefix)).map_ok(|object| {
            let parts: Vec<_> = object.location.parts().skip(1).collect();
            let name: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
            let modified = object.last_modified.timestamp_micros();
            Object {
                name: name.join("/"),
                bytes: object.size,
                modified: Timestamp::from_micros(u64::try_from(modified).unwrap_or(0)),
            }
        });
        found.try_collect().await.map_err(|error| unavailable(&prefix, &error))
    }
}
