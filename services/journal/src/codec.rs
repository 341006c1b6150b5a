//! The bytes of segments, snapshot chunks and manifests.
//!
//! Promises: the same content gives the same bytes; whatever was damaged, cut off or written by a later version is an
//! error that names the defect. Encodes once, and checks and hashes in one pass. Leaves whether a segment fits where
//! it stands to `replay`.

use bytes::Bytes;
use lepton_domain::ids::{Epoch, Seq};
use lepton_domain::ledger::{Corrupt, Event, FORMAT_MAX, IllegalEvent};
use lepton_domain::task::{Content, Payload, Task};
use lepton_proto::convert::ConvertError;
use lepton_proto::journal::v1 as wire;
use prost::Message;

#[cfg(test)]
mod tests;

/// The format of manifests.
pub const MANIFEST_FORMAT: u32 = 1;

/// A BLAKE3.
pub type Hash = [u8; 32];

/// Both messages end in a `fixed32`: one byte of tag, four of checksum.
const CHECKSUM_BYTES: usize = 5;
const SEGMENT_CHECKSUM_TAG: u8 = 9 << 3 | 5;
const CHUNK_CHECKSUM_TAG: u8 = 5 << 3 | 5;

/// Small enough to stay in the cache between the checksum and the hash, large enough for BLAKE3's widest path.
const PASS_BYTES: usize = 16 << 10;

/// Tag and length in front of an event within its segment, at most.
const EVENT_FRAME_BYTES: usize = 4;

/// A defect of stored bytes, or of the place where they stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It is not there although later parts are.
    #[error("it is missing")]
    Missing,
    /// It does not end in a checksum.
    #[error("it is cut off: {0} bytes without a checksum at the end")]
    Truncated(usize),
    /// It is not what was written.
    #[error("checksum {stored:08x} is stored, the content has {computed:08x}")]
    Checksum {
        /// The stored CRC-32C.
        stored: u32,
        /// The content's CRC-32C.
        computed: u32,
    },
    /// It is not the message that it should be.
    #[error("it cannot be decoded: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// A later version wrote it.
    #[error("it has format {0}, this version reads up to {FORMAT_MAX}: upgrade")]
    Format(u32),
    /// A later version wrote event number so-and-so of it.
    #[error("its event {0} is of a kind that this version does not know: upgrade")]
    UnknownEvent(usize),
    /// A field cannot be understood.
    #[error("{0}")]
    Field(#[from] ConvertError),
    /// It stands in the wrong place.
    #[error("it carries number {found} where {expected} should be")]
    Number {
        /// The number of the place.
        expected: u64,
        /// The number that it carries.
        found: u64,
    },
    /// It does not continue what stands before it.
    #[error("its previous hash is not that of the segment before")]
    Chain,
    /// Its events do not continue those before it.
    #[error("its first event is {found:?} where {expected:?} should be")]
    Seq {
        /// The number that should follow.
        expected: Seq,
        /// The number that it carries.
        found: Seq,
    },
    /// A leader wrote after a later one.
    #[error("it is of epoch {found:?}, after one of {last:?}")]
    Epoch {
        /// The epoch before.
        last: Epoch,
        /// The epoch that it carries.
        found: Epoch,
    },
    /// Its journal time lies before that of the segment before.
    #[error("its journal time goes back")]
    Time,
    /// An event cannot have happened.
    #[error("{0}")]
    Illegal(#[from] IllegalEvent),
    /// A snapshot contradicts its header.
    #[error("{0}")]
    Ledger(#[from] Corrupt),
}

/// A segment ready for etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The encoded segment, checksum included.
    pub bytes: Vec<u8>,
    /// BLAKE3 of all of it.
    pub hash: Hash,
}

/// An upper bound of what the event adds to a segment, in bytes, without encoding it.
pub fn encoded_len(event: &Event) -> usize {
    // Ids, numbers and frames of any event stay below this.
    const FIXED: usize = 160;
    let text = match event {
        Event::EpochStarted { leader } => leader.as_str().len(),
        Event::FormatActivated { .. } | Event::Expired { .. } | Event::Purged { .. } => 0,
        Event::Submitted(it) => {
            let names = it.tenant.as_str().len() + it.request_id.as_str().len() + it.spec.kind.as_str().len();
            let maps = [&it.spec.requirements, &it.spec.labels].into_iter().flatten();
            let pairs: usize = maps.map(|(key, value)| key.len() + value.len() + 12).sum();
            names + pairs + payload_len(&it.spec.input) + it.traceparent.as_ref().map_or(0, |text| text.len()) + FIXED
        }
        Event::Started { worker, .. } => worker.as_str().len(),
        Event::AttemptLost { worker, checkpoint, .. } | Event::AttemptReturned { worker, checkpoint, .. } => {
            worker.as_str().len() + optional_len(checkpoint.as_ref())
        }
        Event::Succeeded { worker, output, .. } => worker.as_str().len() + payload_len(output),
        Event::AttemptFailed {
            worker,
            error,
            checkpoint,
            ..
        } => worker.as_str().len() + error.reason.len() + error.message.len() + optional_len(checkpoint.as_ref()),
        Event::Failed { error, .. } => error.reason.len() + error.message.len(),
        Event::Cancelled { message, .. } => message.len(),
        Event::KindPaused { tenant, kind } | Event::KindResumed { tenant, kind } => {
            tenant.as_str().len() + kind.as_str().len()
        }
    };
    FIXED + EVENT_FRAME_BYTES + text
}

fn optional_len(payload: Option<&Payload>) -> usize {
    payload.map_or(0, payload_len)
}

fn payload_len(payload: &Payload) -> usize {
    match &payload.content {
        Content::Inline(bytes) => bytes.len(),
        Content::Blob { .. } => 48,
    }
}

/// Encodes a segment; its own `crc` is not looked at.
pub fn encode_segment(mut segment: wire::Segment) -> Sealed {
    segment.crc = 0;
    let (bytes, hash) = seal(&segment, SEGMENT_CHECKSUM_TAG);
    Sealed { bytes, hash }
}

/// Decodes a segment and checks that it is whole and of a known kind. Gives its hash too.
pub fn decode_segment(bytes: &Bytes) -> Result<(wire::Segment, Hash), Damage> {
    let hash = unseal(bytes, SEGMENT_CHECKSUM_TAG)?;
    let segment = wire::Segment::decode(bytes.clone())?;
    check_format(segment.format)?;
    match segment.events.iter().position(|event| event.change.is_none()) {
        Some(index) => Err(Damage::UnknownEvent(index)),
        None => Ok((segment, hash)),
    }
}

/// The events of a segment, owning their payloads.
pub fn events(segment: wire::Segment) -> Result<Vec<Event>, Damage> {
    segment
        .events
        .into_iter()
        .map(|event| Ok(own_payload(Event::try_from(event)?)))
        .collect()
}

/// Encodes a part of a snapshot; its own `crc` is not looked at.
pub fn encode_chunk(mut chunk: wire::SnapshotChunk) -> Vec<u8> {
    chunk.crc = 0;
    seal(&chunk, CHUNK_CHECKSUM_TAG).0
}

/// Decodes a part of a snapshot and checks that it is whole, of a known format, and number `expected`.
pub fn decode_chunk(bytes: &Bytes, expected: u32) -> Result<wire::SnapshotChunk, Damage> {
    unseal(bytes, CHUNK_CHECKSUM_TAG)?;
    let chunk = wire::SnapshotChunk::decode(bytes.clone())?;
    check_format(chunk.format)?;
    match chunk.number == expected {
        true => Ok(chunk),
        false => Err(Damage::Number {
            expected: expected.into(),
            found: chunk.number.into(),
        }),
    }
}

/// A task of a snapshot, owning its payloads.
pub fn task(record: wire::TaskRecord) -> Result<Task, Damage> {
    let mut task = Task::try_from(record)?;
    own(&mut task.spec.input);
    task.output.iter_mut().for_each(own);
    task.history
        .iter_mut()
        .filter_map(|history| history.checkpoint.as_mut())
        .for_each(own);
    Ok(task)
}

/// Decodes the manifest.
pub fn decode_manifest(bytes: &[u8]) -> Result<wire::Manifest, Damage> {
    let manifest = wire::Manifest::decode(bytes)?;
    match manifest.format == MANIFEST_FORMAT {
        true => Ok(manifest),
        false => Err(Damage::Format(manifest.format)),
    }
}

fn check_format(format: u32) -> Result<(), Damage> {
    match (1..=FORMAT_MAX).contains(&format) {
        true => Ok(()),
        false => Err(Damage::Format(format)),
    }
}

/// A payload that shares the bytes of its segment would keep the whole segment in memory as long as its task lives.
fn own(payload: &mut Payload) {
    if let Content::Inline(bytes) = &mut payload.content {
        *bytes = Bytes::copy_from_slice(bytes);
    }
}

fn own_payload(mut event: Event) -> Event {
    match &mut event {
        Event::Submitted(submission) => own(&mut submission.spec.input),
        Event::Succeeded { output, .. } => own(output),
        Event::AttemptFailed { checkpoint, .. }
        | Event::AttemptLost { checkpoint, .. }
        | Event::AttemptReturned { checkpoint, .. } => checkpoint.iter_mut().for_each(own),
        _ => {}
    }
    event
}

/// Encodes the message, whose checksum field is zero and therefore absent, and appends the checksum.
fn seal(message: &impl Message, tag: u8) -> (Vec<u8>, Hash) {
    let mut bytes = Vec::with_capacity(message.encoded_len() + CHECKSUM_BYTES);
    message.encode(&mut bytes).expect("a vector grows as needed");
    let (crc, mut hasher) = pass(&bytes);
    let content = bytes.len();
    bytes.push(tag);
    bytes.extend_from_slice(&crc.to_le_bytes());
    hasher.update(&bytes[content..]);
    (bytes, *hasher.finalize().as_bytes())
}

/// Checks the checksum at the end and gives the hash of all bytes.
fn unseal(bytes: &[u8], tag: u8) -> Result<Hash, Damage> {
    let truncated = Damage::Truncated(bytes.len());
    let Some((content, [found, stored @ ..])) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err(truncated);
    };
    if *found != tag {
        return Err(truncated);
    }
    let stored = u32::from_le_bytes(*stored);
    let (computed, mut hasher) = pass(content);
    if stored != computed {
        return Err(Damage::Checksum { stored, computed });
    }
    hasher.update(&bytes[content.len()..]);
    Ok(*hasher.finalize().as_bytes())
}

/// Checksum and hash in one pass over memory.
fn pass(content: &[u8]) -> (u32, blake3::Hasher) {
    let mut hasher = blake3::Hasher::new();
    let mut crc = 0;
    for block in content.chunks(PASS_BYTES) {
        crc = crc32c::crc32c_append(crc, block);
        hasher.update(block);
    }
    (crc, hasher)
}
