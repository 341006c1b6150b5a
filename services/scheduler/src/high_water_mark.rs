//! The furthest mark of the journal that this scheduler has received, kept on disk.
//!
//! Promises: it only rises within an incarnation, and survives a restart under whatever name, so that an etcd restored
//! from an older backup is noticed. Schedulers that share a directory share the mark. One that cannot be written is
//! reported and costs nothing but that protection.
//!
//! The file is believed as it is: marks get into it from this scheduler's own journal, and from peers only where a leader
//! has sealed them. So it holds no code, and those of former releases are read as they are.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lepton_core::conditions::Conditions;
use lepton_domain::condition::JOURNAL_BEHIND;
use lepton_domain::ids::InstanceId;
use lepton_journal::high_water_mark::advance_to;
use lepton_proto::journal::v1::Mark;
use prost::Message;
use tokio::sync::watch;

use crate::status::SchedulerStatus;

/// Shortest time between two writes of the file.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// The mark and its file.
#[derive(Debug, Clone)]
pub(crate) struct HighWaterMark {
    path: PathBuf,
    /// File in which a new mark is written before it replaces the other: no other scheduler writes it.
    fresh: PathBuf,
    mark: watch::Sender<Mark>,
}

impl HighWaterMark {
    /// Reads the mark that earlier schedulers of this cluster have left in this directory.
    pub async fn open(directory: &Path, cluster: &str, own: &InstanceId) -> io::Result<Self> {
        tokio::fs::create_dir_all(directory).await?;
        let path = directory.join(format!("{cluster}.mark"));
        let mark = read(&path).await?;
        Ok(Self {
            path,
            fresh: directory.join(format!("{cluster}.{own}.new")),
            mark: watch::Sender::new(mark),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The mark.
    pub fn mark(&self) -> Mark {
        self.mark.borrow().clone()
    }

    /// Advances to a mark that a peer holds, if that is further.
    pub fn advance_to(&self, mark: &Mark) {
        self.mark.send_if_modified(|kept| {
            let before = kept.clone();
            advance_to(kept, mark);
            *kept != before
        });
    }

    /// Advances with this scheduler's own journal and writes the file, until `status` closes. A journal that has all that was
    /// seen of it ends the condition [`JOURNAL_BEHIND`].
    pub async fn follow(self, mut status: watch::Receiver<SchedulerStatus>, conditions: Conditions) {
        while status.changed().await.is_ok() {
            let mark = status.borrow_and_update().mark.clone();
            if !mark.incarnation.is_empty() {
                self.advance_to(&mark);
                if self.mark.borrow().segment <= mark.segment {
                    conditions.clear(JOURNAL_BEHIND, "etcd");
                }
            }
            if let Err(error) = self.save().await {
                tracing::warn!(%error, path = %self.path.display(), "the journal's mark could not be written");
            }
            tokio::time::sleep(SAVE_INTERVAL).await;
        }
    }

    /// Replaces the file in one step; a crash leaves the old mark or the new one.
    async fn save(&self) -> io::Result<()> {
        // Another scheduler may have written further meanwhile. One that writes between this and the rename is
        // overtaken for a second at most: it writes again.
        let kept = read(&self.path).await?;
        if kept.incarnation == self.mark.borrow().incarnation {
            self.advance_to(&kept);
        }
        tokio::fs::write(&self.fresh, self.mark().encode_to_vec()).await?;
        tokio::fs::File::open(&self.fresh).await?.sync_all().await?;
        tokio::fs::rename(&self.fresh, &self.path).await
    }
}

/// Reads the mark in a file; the default where there is no file.
async fn read(path: &Path) -> io::Result<Mark> {
    match tokio::fs::read(path).await {
        Ok(bytes) => Mark::decode(bytes.as_slice()).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Mark::default()),
        Err(error) => Err(error),
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
        let own = HighWaterMark::open(&directory, "mesh", &InstanceId::new("a"))
            .await
            .unwrap();
        own.advance_to(&mark(7));
        own.advance_to(&mark(3));
        own.save().await.unwrap();
        let other = HighWaterMark::open(&directory, "mesh", &InstanceId::new("b"))
            .await
            .unwrap();
        assert_eq!(other.mark(), mark(7), "under another name");
        own.advance_to(&mark(9));
        own.save().await.unwrap();
        other.advance_to(&mark(8));
        other.save().await.unwrap();
        assert_eq!(other.mark(), mark(9), "beside another");
        let elsewhere = HighWaterMark::open(&directory, "other", &InstanceId::new("a"))
            .await
            .unwrap();
        assert_eq!(elsewhere.mark(), Mark::default(), "of another mesh");
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[tokio::test]
    async fn a_damaged_mark_is_an_error() {
        let directory = std::env::temp_dir().join(format!("lepton-known-damaged-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("mesh.mark"), [0xff; 3]).unwrap();
        let opened = HighWaterMark::open(&directory, "mesh", &InstanceId::new("a")).await;
        assert!(opened.is_err());
        std::fs::remove_dir_all(directory).unwrap();
    }
}
