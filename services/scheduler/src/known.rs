//! The furthest mark of the journal that this scheduler has heard of, kept on disk.
//!
//! Promises: it only rises within an incarnation, and survives a restart, so that an etcd restored from an older
//! backup is noticed. A mark that cannot be written is reported and costs nothing but that protection.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lepton_mesh::journal::mark::raise;
use lepton_proto::journal::v1::Mark;
use prost::Message;
use tokio::sync::watch;

use crate::progress::Progress;

/// How often a risen mark is written at most.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// The mark and its file.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    path: PathBuf,
    mark: watch::Sender<Mark>,
}

impl Known {
    /// Reads what an earlier process has left in this directory.
    pub async fn open(directory: &Path) -> io::Result<Self> {
        tokio::fs::create_dir_all(directory).await?;
        let path = directory.join("mark");
        let mark = match tokio::fs::read(&path).await {
            Ok(bytes) => Mark::decode(bytes.as_slice()).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Mark::default(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            path,
            mark: watch::Sender::new(mark),
        })
    }

    /// The mark.
    pub fn mark(&self) -> Mark {
        self.mark.borrow().clone()
    }

    /// Takes note of a mark that somebody has shown.
    pub fn raise(&self, seen: &Mark) {
        self.mark.send_if_modified(|known| {
            let before = known.clone();
            raise(known, seen);
            *known != before
        });
    }

    /// Follows this scheduler's own progress and writes what has risen, until the progress ends.
    pub async fn keep(self, mut progress: watch::Receiver<Progress>) {
        while progress.changed().await.is_ok() {
            let mark = progress.borrow_and_update().mark.clone();
            if !mark.incarnation.is_empty() {
                self.raise(&mark);
            }
            if let Err(error) = self.save().await {
                tracing::warn!(%error, path = %self.path.display(), "the journal's mark could not be written");
            }
            tokio::time::sleep(SAVE_EVERY).await;
        }
    }

    /// Replaces the file in one step; a crash leaves the old mark or the new one.
    async fn save(&self) -> io::Result<()> {
        let bytes = self.mark().encode_to_vec();
        let fresh = self.path.with_extension("new");
        tokio::fs::write(&fresh, bytes).await?;
        tokio::fs::File::open(&fresh).await?.sync_all().await?;
        tokio::fs::rename(&fresh, &self.path).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(segment: u64) -> Mark {
        Mark {
            incarnation: "a".to_owned(),
            revision: segment,
            segment,
            ..Mark::default()
        }
    }

    #[tokio::test]
    async fn a_mark_survives_a_restart_and_never_falls() {
        let directory = std::env::temp_dir().join(format!("lepton-known-{}", std::process::id()));
        let known = Known::open(&directory).await.unwrap();
        known.raise(&mark(7));
        known.raise(&mark(3));
        known.save().await.unwrap();
        assert_eq!(Known::open(&directory).await.unwrap().mark(), mark(7));
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[tokio::test]
    async fn a_damaged_mark_is_an_error() {
        let directory = std::env::temp_dir().join(format!("lepton-known-damaged-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("mark"), [0xff; 3]).unwrap();
        assert!(Known::open(&directory).await.is_err());
        std::fs::remove_dir_all(directory).unwrap();
    }
}
