//! The writer: one thread that appends frames, syncs them and releases the answers that waited for them.

use super::{Batch, Command, Progress, Release, directory::Directory, frame, snapshot};
use crate::{
    error::Error,
    machine::{Image, Machine},
};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
};
use tokio::sync::{mpsc, watch};

/// Bytes gathered into one frame before it is written, so that a long queue does not make the first in it wait for ever.
const FRAME_BYTES_MAX: usize = 8 << 20;

/// A write buffer above this size is given back after use.
const BUFFER_BYTES_KEPT: usize = 4 << 20;

/// Writes one segment after the other, in batches ([`Batch`]).
pub(crate) struct Writer {
    directory: Arc<Directory>,
    file: File,
    progress: Progress,
    /// Bytes of log since the snapshot, and of the snapshot.
    log_bytes: u64,
    snapshot_bytes: u64,
    /// The log is rewritten when it is larger than this and than its snapshot.
    rewrite_bytes: u64,
    snapshot: Option<JoinHandle<Result<u64, Error>>>,
    buffer: Vec<u8>,
}

impl Writer {
    /// Continues segment `number`, open for appending as `file`.
    pub(super) fn new(
        directory: Arc<Directory>,
        file: File,
        number: u64,
        rewrite_bytes: u64,
        machine: &Machine,
        log_bytes: u64,
        snapshot_bytes: u64,
    ) -> Self {
        let progress = Progress {
            index: machine.index(),
            revision: machine.store().revision(),
            segment: number,
            ..Progress::default()
        };
        let buffer = Vec::new();
        let mut writer = Self {
            directory,
            file,
            progress,
            log_bytes,
            snapshot_bytes,
            rewrite_bytes,
            snapshot: None,
            buffer,
        };
        writer.measure();
        writer
    }

    /// The durable [`Progress`] at the start.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The data directory.
    pub fn path(&self) -> PathBuf {
        self.directory.path().into()
    }

    /// Works until the last sender is gone, or the disk fails.
    pub fn run(mut self, mut inbox: mpsc::Receiver<Command>, publish: &watch::Sender<Progress>) -> Result<(), Error> {
        while let Some(command) = inbox.blocking_recv() {
            self.reap();
            match command {
                Command::Append(batch) => {
                    let (batches, next) = gather(batch, &mut inbox);
                    self.commit(batches, publish)?;
                    if let Some((image, done)) = next {
                        self.rewrite(image, done)?;
                    }
                }
                Command::Rewrite(image, done) => self.rewrite(image, done)?,
            }
        }
        if let Some(running) = self.snapshot.take() {
            keep_or_warn(running);
        }
        Ok(())
    }

    /// Makes the batches durable with one sync, publishes the [`Progress`], then releases their answers.
    fn commit(&mut self, batches: Vec<Batch>, publish: &watch::Sender<Progress>) -> Result<(), Error> {
        if batches.iter().any(|batch| !batch.entries.is_empty()) {
            self.buffer.clear();
            frame::write(
                &mut self.buffer,
                self.progress.index + 1,
                batches.iter().flat_map(|batch| &batch.entries),
            );
            self.sync_buffer()
                .map_err(Error::disk(self.directory.segment(self.progress.segment)))?;
        }
        if let Some(last) = batches.last() {
            self.progress.index = last.index;
            self.progress.revision = last.revision;
        }
        self.measure();
        publish.send_replace(self.progress);
        let answers: Vec<Release> = batches.into_iter().flat_map(|batch| batch.answers).collect();
        answers.into_iter().for_each(|release| release());
        Ok(())
    }

    fn sync_buffer(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.file.sync_data()?;
        self.log_bytes += self.buffer.len() as u64;
        if self.buffer.capacity() > BUFFER_BYTES_KEPT {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// Begins the next segment and writes the snapshot before it on a thread of its own; `done` is sent after success. While a
    /// snapshot is being written, a request for another one waits if a caller waits for it, as in etcd, and is dropped if not.
    fn rewrite(&mut self, image: Image, done: Option<Release>) -> Result<(), Error> {
        match self.snapshot.take() {
            Some(running) if done.is_some() => {
                keep_or_warn(running);
            }
            running @ Some(_) => {
                self.snapshot = running;
                return Ok(());
            }
            None => {}
        }
        let number = self.progress.segment + 1;
        let path = self.directory.segment(number);
        let begin = || {
            let file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.sync_all()?;
            self.directory.sync()?;
            Ok(file)
        };
        self.file = begin().map_err(Error::disk(&path))?;
        self.progress.segment = number;
        self.log_bytes = 0;
        let directory = Arc::clone(&self.directory);
        let run = move || {
            let written = snapshot::write(&directory, number, image)?;
            done.into_iter().for_each(|done| done());
            Ok(written)
        };
        let running = thread::Builder::new()
            .name("etcd-snapshot".into())
            .spawn(run)
            .map_err(Error::disk(path))?;
        self.snapshot = Some(running);
        Ok(())
    }

    /// Records the end of a snapshot. One that failed leaves its segments; the next try comes when the log has grown again.
    fn reap(&mut self) {
        if let Some(running) = self.snapshot.take_if(|running| running.is_finished())
            && let Some(bytes) = keep_or_warn(running)
        {
            self.snapshot_bytes = bytes;
        }
    }

    fn measure(&mut self) {
        self.progress.disk_bytes = self.log_bytes + self.snapshot_bytes;
        self.progress.rewrite_due =
            self.snapshot.is_none() && self.log_bytes > self.rewrite_bytes.max(self.snapshot_bytes);
    }
}

/// All batches that wait, up to a request to rewrite, which must see everything before it written.
fn gather(first: Batch, inbox: &mut mpsc::Receiver<Command>) -> (Vec<Batch>, Option<(Image, Option<Release>)>) {
    let mut bytes = first.bytes();
    let mut batches = vec![first];
    while bytes < FRAME_BYTES_MAX {
        match inbox.try_recv() {
            Ok(Command::Append(batch)) => {
                bytes += batch.bytes();
                batches.push(batch);
            }
            Ok(Command::Rewrite(image, done)) => return (batches, Some((image, done))),
            Err(_) => break,
        }
    }
    (batches, None)
}

fn keep_or_warn(running: JoinHandle<Result<u64, Error>>) -> Option<u64> {
    match running.join() {
        Ok(Ok(bytes)) => Some(bytes),
        Ok(Err(error)) => {
            tracing::warn!(%error, "cannot write a snapshot; the log stays long");
            None
        }
        Err(_) => {
            tracing::error!("the snapshot thread panicked; the log stays long");
            None
        }
    }
}
