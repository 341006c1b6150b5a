//! Request bodies: piece by piece, unpacked, and bounded.
//!
//! Promises: the limit counts unpacked bytes, so that a small gzip body cannot become a large one; a refused body is
//! still read for a while, because many clients look for the answer only after they have sent everything. Leaves the
//! meaning of the bytes to whoever asked for them.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use lepton_domain::reason::{Fault, Reason};

use self::unpack::Unpacker;
use crate::room::{Held, Room};

#[cfg(test)]
mod tests;
mod unpack;

/// Packed bytes that are unpacked at once: 4 KiB become at most 4 MiB.
const UNPACK_BYTES: usize = 4 * 1024;
/// How long a client may send nothing in the middle of a body. A slot of ours waits with it.
const STALL_MAX: Duration = Duration::from_secs(30);
/// How long a refused body is read on.
const DISCARD_WAIT: Duration = Duration::from_secs(5);

/// A body on its way in.
#[derive(Debug)]
pub struct Incoming {
    body: Body,
    /// The most unpacked bytes.
    limit: usize,
    read: usize,
    /// The room that its bytes take, unpacked.
    held: Option<Held>,
    unpacker: Option<Unpacker>,
    /// Packed bytes that have arrived.
    packed: Bytes,
    /// Whether the client waits for us before it sends anything.
    waits: bool,
    ended: bool,
}

impl Incoming {
    /// The body of a request with these headers.
    pub fn new(headers: &HeaderMap, body: Body, limit: usize) -> Self {
        let encoding = headers.get(header::CONTENT_ENCODING);
        Self {
            body,
            limit,
            read: 0,
            held: None,
            unpacker: encoding.and_then(|name| Unpacker::named(name.as_bytes())),
            packed: Bytes::new(),
            waits: headers.contains_key(header::EXPECT),
            ended: false,
        }
    }

    /// The same body, whose bytes take room until it is dropped.
    pub fn within(self, room: &Room) -> Self {
        Self {
            held: Some(room.hold()),
            ..self
        }
    }

    /// Refuses what the headers alone rule out: a length beyond the limit, an encoding that is not known.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Fault> {
        let encoding = headers.get(header::CONTENT_ENCODING);
        if let Some(name) = encoding.filter(|name| !name.as_bytes().eq_ignore_ascii_case(b"identity"))
            && self.unpacker.is_none()
        {
            let message = format!("content-encoding {name:?} is not taken; send gzip, deflate or plain text");
            return Err(Fault::new(Reason::ContentTypeUnsupported, message));
        }
        let length = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        match length {
            Some(length) if length > self.limit => Err(self.too_large()),
            _ => Ok(()),
        }
    }

    /// The next piece, or `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            if !self.packed.is_empty() {
                let unpacked = self.unpack()?;
                if !unpacked.is_empty() {
                    return self.count(unpacked).map(Some);
                }
                continue;
            }
            if self.ended {
                return Ok(None);
            }
            match self.frame().await? {
                Some(piece) if self.unpacker.is_some() => self.packed = piece,
                Some(piece) if piece.is_empty() => {}
                Some(piece) => return self.count(piece).map(Some),
                None => {
                    self.ended = true;
                    let rest = self.finish_unpacking()?;
                    if !rest.is_empty() {
                        return self.count(rest).map(Some);
                    }
                }
            }
        }
    }

    /// The whole body.
    pub async fn all(&mut self) -> Result<Bytes, Fault> {
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next().await? else {
            return Ok(first);
        };
        let mut whole = BytesMut::from(first);
        whole.extend_from_slice(&second);
        while let Some(piece) = self.next().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// Reads the rest of a refused body and drops it: for a few seconds, and not more than once the limit.
    pub async fn discard(&mut self) {
        if self.waits && self.read == 0 {
            return;
        }
        self.held = None;
        let mut left = self.limit;
        let drop_rest = async {
            while let Ok(Some(piece)) = self.frame().await {
                left = left.saturating_sub(piece.len());
                if left == 0 {
                    return;
                }
            }
        };
        // Whether it ended or not, the answer is next.
        let _ = tokio::time::timeout(DISCARD_WAIT, drop_rest).await;
    }

    async fn frame(&mut self) -> Result<Option<Bytes>, Fault> {
        while !self.ended {
            let frame = tokio::time::timeout(STALL_MAX, self.body.frame()).await;
            match frame.map_err(|_| self.stalled())? {
                None => self.ended = true,
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    self.ended = true;
                    return Err(Fault::new(Reason::Cancelled, format!("the body broke off: {error}")));
                }
            }
        }
        Ok(None)
    }

    fn unpack(&mut self) -> Result<Bytes, Fault> {
        let step = self.packed.split_to(self.packed.len().min(UNPACK_BYTES));
        let Some(unpacker) = &mut self.unpacker else {
            return Ok(step);
        };
        match unpacker.unpack(&step) {
            Ok(unpacked) => Ok(unpacked.into()),
            Err(error) => Err(not_packed(unpacker.name(), &error)),
        }
    }

    fn finish_unpacking(&mut self) -> Result<Bytes, Fault> {
        let Some(unpacker) = &mut self.unpacker else {
            return Ok(Bytes::new());
        };
        match unpacker.finish() {
            Ok(rest) => Ok(rest.into()),
            Err(error) => Err(not_packed(unpacker.name(), &error)),
        }
    }

    fn count(&mut self, piece: Bytes) -> Result<Bytes, Fault> {
        self.read += piece.len();
        if self.read > self.limit {
            return Err(self.too_large());
        }
        if let Some(held) = &mut self.held {
            held.grow(piece.len())?;
        }
        Ok(piece)
    }

    fn stalled(&self) -> Fault {
        let message = format!(
            "no byte of the body came for {} s; {} had come",
            STALL_MAX.as_secs(),
            self.read
        );
        Fault::new(Reason::DeadlineExceeded, message)
    }

    fn too_large(&self) -> Fault {
        let message = format!("the body has more than {} bytes; send less at once", self.limit);
        Fault::new(Reason::RequestTooLarge, message).with("limit", self.limit.to_string())
    }
}

fn not_packed(name: &str, error: &std::io::Error) -> Fault {
    Fault::field("body", format!("content-encoding says {name}, and it is not: {error}"))
}
