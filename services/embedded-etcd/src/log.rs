//! The write-ahead log: makes entries durable before they are published.
//!
//! A batch holds the entries of some requests and their answers. One writer takes all batches that wait, writes them as one frame,
//! syncs once, publishes the progress and only then releases the answers: that is the group commit. Answers to reads ride along,
//! so that no answer shows state that a crash could take back. After a failed write nothing is released any more.
//!
//! On disk ([`directory`]): numbered segments of frames ([`frame`]), and a snapshot that replaces all segments below its number
//! ([`snapshot`]). In memory, for simulation and tests, batches are released at once.

use crate::{
    entry::Entry,
    error::Error,
    machine::{Image, Machine},
};
use std::thread;
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) mod directory;
mod frame;
mod recover;
mod snapshot;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use recover::recover;
pub(crate) use writer::Writer;

/// Batches that may wait for the writer; more make the owner wait, and so its clients.
const QUEUE_BATCHES: usize = 64;

/// Sends one answer.
pub(crate) type Release = Box<dyn FnOnce() + Send>;

/// Entries and the answers that depend on them and on everything before.
#[derive(Default)]
pub(crate) struct Batch {
    pub entries: Vec<Entry>,
    /// Entries ever made, these included.
    pub index: u64,
    /// Revision of the store after these entries.
    pub revision: i64,
    pub answers: Vec<Release>,
}

impl Batch {
    /// Bytes of keys and values in the entries.
    fn bytes(&self) -> usize {
        let changes = self.entries.iter().flat_map(|entry| &entry.changes);
        changes.map(|change| change.key.len() + change.value.len()).sum()
    }
}

/// The durable part of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub index: u64,
    pub revision: i64,
    /// Bytes of log and snapshot.
    pub disk_bytes: u64,
    /// Number of the segment that is written.
    pub segment: u64,
    /// The log has outgrown its snapshot: a new one is due.
    pub rewrite_due: bool,
}

/// The log has ended; [`Log::close`] returns the cause.
#[derive(Debug, thiserror::Error)]
#[error("the log has ended")]
pub(crate) struct LogClosed;

/// The owner's end of the log.
pub(crate) enum Log {
    Memory {
        progress: watch::Sender<Progress>,
    },
    Disk {
        commands: mpsc::Sender<Command>,
        progress: watch::Receiver<Progress>,
        end: oneshot::Receiver<Result<(), Error>>,
    },
}

/// A command for the [`Writer`].
pub(crate) enum Command {
    Append(Batch),
    /// The snapshot's content, and the [`Release`] for when it is on disk.
    Rewrite(Image, Option<Release>),
}

impl Log {
    /// A log that keeps nothing.
    pub fn in_memory(machine: &Machine) -> Self {
        let start = Progress {
            index: machine.index(),
            revision: machine.store().revision(),
            ..Progress::default()
        };
        Self::Memory {
            progress: watch::Sender::new(start),
        }
    }

    /// Starts the writer on its own thread, because it blocks on the disk.
    pub fn start(writer: Writer) -> Result<Self, Error> {
        let (commands, inbox) = mpsc::channel(QUEUE_BATCHES);
        let (publish, progress) = watch::channel(writer.progress());
        let (ended, end) = oneshot::channel();
        let path = writer.path();
        let run = move || {
            // Nobody listens any more if the server was dropped rather than ended.
            ended.send(writer.run(inbox, &publish)).ok();
        };
        thread::Builder::new()
            .name("etcd-log".into())
            .spawn(run)
            .map_err(Error::disk(path))?;
        Ok(Self::Disk {
            commands,
            progress,
            end,
        })
    }

    /// Watches the durable [`Progress`].
    pub fn progress(&self) -> watch::Receiver<Progress> {
        match self {
            Self::Memory { progress } => progress.subscribe(),
            Self::Disk { progress, .. } => progress.clone(),
        }
    }

    /// Appends a [`Batch`]. Its answers are sent when it is durable, or dropped if it never will be.
    pub async fn append(&self, batch: Batch) -> Result<(), LogClosed> {
        match self {
            Self::Memory { progress } => {
                progress.send_modify(|now| (now.index, now.revision) = (batch.index, batch.revision));
                batch.answers.into_iter().for_each(|release| release());
                Ok(())
            }
            Self::Disk { commands, .. } => commands.send(Command::Append(batch)).await.map_err(|_| LogClosed),
        }
    }

    /// Begins a new segment with a snapshot of all that came before it. `done` is sent once that is on disk, or dropped if it
    /// never will be.
    pub async fn rewrite(&self, image: Image, done: Option<Release>) -> Result<(), LogClosed> {
        match self {
            Self::Memory { .. } => {
                done.into_iter().for_each(|done| done());
                Ok(())
            }
            Self::Disk { commands, .. } => commands
                .send(Command::Rewrite(image, done))
                .await
                .map_err(|_| LogClosed),
        }
    }

    /// Ends the writer after everything sent to it, and returns its result.
    pub async fn close(self) -> Result<(), Error> {
        match self {
            Self::Memory { .. } => Ok(()),
            Self::Disk { commands, end, .. } => {
                drop(commands);
                // It says how it went, unless it panicked.
                end.await.unwrap_or(Err(Error::LogBroke))
            }
        }
    }
}
