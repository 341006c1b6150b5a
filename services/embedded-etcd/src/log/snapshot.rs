//! Snapshots: the whole state as a file of frames, so that the segments before it can go.
//!
//! Written beside the running server from an image that shares its keys and values; read back at the next start.

use super::{
    directory::Directory,
    frame::{self, FrameRead},
};
use crate::{
    entry::{Base, Change, Entry},
    error::Error,
    machine::{Image, Machine},
    revision::Version,
};
use std::{
    fs::{self, File},
    io::{self, BufReader, Write},
    path::Path,
};

/// Bytes of keys and values in one frame.
const FRAME_BYTES: usize = 1 << 20;

/// Bytes between two syncs: many small ones leave room for the log's own between them.
const SYNC_BYTES: usize = 8 << 20;

/// Writes the snapshot before segment `number`, then removes the segments that it replaces. Returns its size.
pub(super) fn write(directory: &Directory, number: u64, image: Image) -> Result<u64, Error> {
    let target = directory.snapshot(number);
    let unfinished = target.with_extension("tmp");
    let write = || {
        let mut file = Growing::create(&unfinished)?;
        let leases = image.leases.iter().map(|granted| Entry {
            granted: Some(*granted),
            ..Entry::default()
        });
        let opening = std::iter::once(Entry {
            base: Some(image.base),
            ..Entry::default()
        });
        file.append(&opening.chain(leases).collect::<Vec<_>>())?;
        for changes in chunks(&image) {
            file.append(&[Entry {
                changes,
                ..Entry::default()
            }])?;
        }
        file.append(&[Entry {
            end: Some(image.versions.len() as u64),
            ..Entry::default()
        }])?;
        let bytes = file.finish()?;
        directory.replace(&unfinished, &target)?;
        Ok(bytes)
    };
    let bytes = write().map_err(|error| {
        // On a full disk it may be what fills it, and the next start is far away. That it stays is no second failure.
        fs::remove_file(&unfinished).ok();
        Error::disk(&target)(error)
    })?;
    directory.remove_below(number)?;
    Ok(bytes)
}

/// Reads a snapshot into a [`Machine`]. It was renamed into place only when it was whole, so anything amiss is damage.
pub(super) fn read(path: &Path, seed: u64) -> Result<(Machine, u64), Error> {
    let file = File::open(path).map_err(Error::disk(path))?;
    let size = file.metadata().map_err(Error::disk(path))?.len();
    let mut file = BufReader::with_capacity(FRAME_BYTES, file);
    let mut builder = SnapshotBuilder::default();
    let mut offset = 0;
    loop {
        let damaged = |detail: &str| Error::Corrupt {
            path: path.into(),
            offset,
            detail: detail.into(),
        };
        match frame::read(&mut file, size - offset).map_err(Error::disk(path))? {
            FrameRead::Frame { entries, bytes, .. } => {
                entries.into_iter().for_each(|entry| builder.take(entry));
                offset += bytes;
            }
            FrameRead::Broken(detail) => return Err(damaged(detail)),
            FrameRead::End => {
                let machine = builder.build(seed).ok_or_else(|| damaged("the end is missing"))?;
                return Ok((machine, size));
            }
        }
    }
}

#[derive(Default)]
struct SnapshotBuilder {
    base: Option<Base>,
    leases: Vec<crate::entry::Granted>,
    versions: Vec<Version>,
    end: Option<u64>,
}

impl SnapshotBuilder {
    fn take(&mut self, entry: Entry) {
        self.base = self.base.or(entry.base);
        self.leases.extend(entry.granted);
        self.versions.extend(entry.changes.into_iter().map(Version::from));
        self.end = self.end.or(entry.end);
    }

    fn build(self, seed: u64) -> Option<Machine> {
        let whole = self.end == Some(self.versions.len() as u64);
        let base = self.base.filter(|_| whole)?;
        Some(Machine::restore(seed, base, self.leases, self.versions))
    }
}

/// The versions in groups of about a frame, converted only when their turn comes.
fn chunks(image: &Image) -> impl Iterator<Item = Vec<Change>> + '_ {
    let mut versions = image.versions.iter().peekable();
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let mut changes = Vec::new();
        while bytes < FRAME_BYTES
            && let Some(version) = versions.next()
        {
            bytes += version.size();
            changes.push(Change::from(version.as_ref()));
        }
        (!changes.is_empty()).then_some(changes)
    })
}

/// A file that is synced as it grows.
struct Growing {
    file: File,
    buffer: Vec<u8>,
    written: u64,
    unsynced: usize,
}

impl Growing {
    fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::create(path)?,
            buffer: Vec::new(),
            written: 0,
            unsynced: 0,
        })
    }

    fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        self.buffer.clear();
        frame::write(&mut self.buffer, 0, entries);
        self.file.write_all(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.unsynced += self.buffer.len();
        if self.unsynced >= SYNC_BYTES {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(())
    }

    fn finish(self) -> io::Result<u64> {
        self.file.sync_all()?;
        Ok(self.written)
    }
}
