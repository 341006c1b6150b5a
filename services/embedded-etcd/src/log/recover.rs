//! Recovery: the newest snapshot, then every segment from its number on; a torn tail is cut off.
//!
//! Only the last segment can have one, because a new segment begins after its predecessor was synced.

use super::{
    Writer,
    directory::Directory,
    frame::{self, FrameRead},
    snapshot,
};
use crate::{error::Error, machine::Machine};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};

/// Restores the [`Machine`] of `directory` and opens its log for writing.
pub(crate) fn recover(directory: Directory, seed: u64, rewrite_bytes: u64) -> Result<(Machine, Writer), Error> {
    directory.remove_unfinished()?;
    let first = directory.snapshots()?.last().copied();
    let (mut machine, snapshot_bytes) = match first {
        Some(number) => snapshot::read(&directory.snapshot(number), seed)?,
        None => (Machine::new(seed), 0),
    };
    let first = first.unwrap_or(1);
    directory.remove_below(first)?;
    let segments = contiguous(&directory, first)?;
    let mut log_bytes = 0;
    for number in &segments {
        let is_last = segments.last() == Some(number);
        log_bytes += replay(&directory.segment(*number), &mut machine, is_last)?;
    }
    let number = segments.last().copied().unwrap_or(first);
    let path = directory.segment(number);
    let file = reopen(&path).map_err(Error::disk(path))?;
    directory.sync().map_err(Error::disk(directory.path()))?;
    let writer = Writer::new(
        Arc::new(directory),
        file,
        number,
        rewrite_bytes,
        &machine,
        log_bytes,
        snapshot_bytes,
    );
    Ok((machine, writer))
}

/// Opens the last segment for appending. A process that died between writing and syncing leaves frames that only the system's
/// memory holds; what was replayed from them counts as durable from here on, so it has to be.
fn reopen(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    file.sync_all()?;
    Ok(file)
}

/// The segments to replay. A gap means that confirmed data is missing; none at all is a new directory.
fn contiguous(directory: &Directory, first: u64) -> Result<Vec<u64>, Error> {
    let segments = directory.segments()?;
    let gap = segments.iter().zip(first..).find(|(found, wanted)| *found != wanted);
    let missing = gap
        .map(|(_, wanted)| wanted)
        .or((segments.is_empty() && first > 1).then_some(first));
    match missing {
        None => Ok(segments),
        Some(wanted) => {
            let detail = "the segment is missing".into();
            Err(Error::Corrupt {
                path: directory.segment(wanted),
                offset: 0,
                detail,
            })
        }
    }
}

/// Applies a segment's entries and returns its size.
fn replay(path: &Path, machine: &mut Machine, is_last: bool) -> Result<u64, Error> {
    let file = File::open(path).map_err(Error::disk(path))?;
    let size = file.metadata().map_err(Error::disk(path))?.len();
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut offset = 0;
    loop {
        let damaged = |detail: &str| Error::Corrupt {
            path: path.into(),
            offset,
            detail: detail.into(),
        };
        match frame::read(&mut file, size - offset).map_err(Error::disk(path))? {
            FrameRead::End => return Ok(offset),
            FrameRead::Frame { first_index, .. } if first_index != machine.index() + 1 => {
                return Err(damaged("an entry is missing"));
            }
            FrameRead::Frame { entries, bytes, .. } => {
                entries.into_iter().for_each(|entry| machine.replay(entry));
                offset += bytes;
            }
            FrameRead::Broken(detail) if !is_last || any_behind(path, offset, machine.index())? => {
                return Err(damaged(detail));
            }
            FrameRead::Broken(detail) => {
                tracing::info!(file = %path.display(), offset, bytes = size - offset, detail, "cut an unfinished write off the log");
                cut(path, offset)?;
                return Ok(offset);
            }
        }
    }
}

fn any_behind(path: &Path, offset: u64, index: u64) -> Result<bool, Error> {
    let read = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut rest = Vec::new();
        file.read_to_end(&mut rest)?;
        Ok(rest)
    };
    read()
        .map(|rest| frame::any_behind(&rest, index))
        .map_err(Error::disk(path))
}

fn cut(path: &Path, offset: u64) -> Result<(), Error> {
    let cut = || {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(offset)?;
        file.sync_all()
    };
    cut().map_err(Error::disk(path))
}
