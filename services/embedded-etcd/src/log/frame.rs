//! Frames: the form of entries in segments and snapshots.
//!
//! ```text
//! magic u32 | payload length u32 | index of the first entry u64 | crc32c u32 | payload: entries, each after its length as a varint
//! ```
//!
//! Little-endian; the checksum covers length, index and payload. One group commit is one frame, so a frame is durable as a whole
//! or, if the power went, not at all. A broken frame with nothing good behind it is such a torn tail: nothing in it was confirmed. A broken
//! frame *before* a good one was confirmed once, and is damage.

use crate::entry::Entry;
use bytes::{Buf, Bytes};
use prost::Message;
use std::io::{self, Read};

const MAGIC: u32 = 0x4c45_4631;
/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 20;

/// Appends a frame to `buffer`, in one piece.
pub(super) fn write<'a>(buffer: &mut Vec<u8>, first_index: u64, entries: impl IntoIterator<Item = &'a Entry>) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEADER_BYTES]);
    for entry in entries {
        entry.encode_length_delimited(buffer).expect("a Vec grows as needed");
    }
    let payload = start + HEADER_BYTES;
    let length = u32::try_from(buffer.len() - payload).expect("a frame stays far below 4 GiB: the writer bounds it");
    let header = Header {
        length,
        first_index,
        crc: checksum(length, first_index, &buffer[payload..]),
    };
    buffer[start..payload].copy_from_slice(&header.encode());
}

/// The result of reading one frame.
#[derive(Debug)]
pub(super) enum FrameRead {
    Frame {
        first_index: u64,
        entries: Vec<Entry>,
        bytes: u64,
    },
    /// The file ends here.
    End,
    /// Not a whole frame.
    Broken(&'static str),
}

/// Reads the next frame, of which at most `left` bytes are in the file.
pub(super) fn read(file: &mut impl Read, left: u64) -> io::Result<FrameRead> {
    if left == 0 {
        return Ok(FrameRead::End);
    }
    if left < HEADER_BYTES as u64 {
        return Ok(FrameRead::Broken("the header is cut"));
    }
    let mut raw = [0; HEADER_BYTES];
    file.read_exact(&mut raw)?;
    let Some(header) = Header::decode(&raw) else {
        return Ok(FrameRead::Broken("there is no frame"));
    };
    if u64::from(header.length) > left - HEADER_BYTES as u64 {
        return Ok(FrameRead::Broken("the frame is cut"));
    }
    let mut payload = vec![0; header.length as usize];
    file.read_exact(&mut payload)?;
    if checksum(header.length, header.first_index, &payload) != header.crc {
        return Ok(FrameRead::Broken("the checksum differs"));
    }
    let bytes = (HEADER_BYTES + payload.len()) as u64;
    match decode(payload.into()) {
        Some(entries) => Ok(FrameRead::Frame {
            first_index: header.first_index,
            entries,
            bytes,
        }),
        None => Ok(FrameRead::Broken("the entries cannot be read")),
    }
}

/// Returns true if a whole frame of entries after `index` begins anywhere in `rest`, past its first byte.
pub(super) fn any_behind(rest: &[u8], index: u64) -> bool {
    let magic = MAGIC.to_le_bytes();
    let starts = (1..rest.len().saturating_sub(HEADER_BYTES - 1)).filter(|&at| rest[at..at + 4] == magic);
    starts.into_iter().any(|at| {
        let mut tail = &rest[at..];
        let left = tail.len() as u64;
        matches!(read(&mut tail, left), Ok(FrameRead::Frame { first_index, .. }) if first_index > index)
    })
}

struct Header {
    length: u32,
    first_index: u64,
    crc: u32,
}

impl Header {
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut raw = [0; HEADER_BYTES];
        raw[..4].copy_from_slice(&MAGIC.to_le_bytes());
        raw[4..8].copy_from_slice(&self.length.to_le_bytes());
        raw[8..16].copy_from_slice(&self.first_index.to_le_bytes());
        raw[16..].copy_from_slice(&self.crc.to_le_bytes());
        raw
    }

    fn decode(mut raw: &[u8]) -> Option<Self> {
        if raw.get_u32_le() != MAGIC {
            return None;
        }
        Some(Self {
            length: raw.get_u32_le(),
            first_index: raw.get_u64_le(),
            crc: raw.get_u32_le(),
        })
    }
}

fn checksum(length: u32, first_index: u64, payload: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&length.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &first_index.to_le_bytes());
    crc32c::crc32c_append(crc, payload)
}

fn decode(mut payload: Bytes) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    while payload.has_remaining() {
        entries.push(Entry::decode_length_delimited(&mut payload).ok()?);
    }
    Some(entries)
}
