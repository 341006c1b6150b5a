//! Request bodies: piece by piece, decompressed, and bounded.
//!
//! Promises: the limit and the [`MemoryBudget`] count decompressed bytes, so that a small gzip body cannot become a large one; a
//! refused body is still read for a while, because many clients look for the answer only after they have sent everything.
//! Not `tower_http`'s decompression and limit, which know one spelling of `gzip`, none of gRPC's messages and no budget, and lose
//! the rest of a body that they refuse. Leaves the meaning of the bytes to its readers.

use std::error::Error as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use lepton_core::error;
use lepton_mesh::memory_budget::{MemoryBudget, Reservation};

use super::decompression::decoder::Decoder;
use crate::request::error::EdgeError;

#[cfg(test)]
mod tests;

/// Compressed bytes that are decoded at once: 4 KiB become at most 4 MiB.
const DECODE_BYTES: usize = 4 * 1024;
/// The first bytes that are kept aside: some lines of most texts.
const BEGINNING_BYTES_MAX: usize = 2 * 1024;
/// Longest pause of a client in the middle of a body, for which a slot of ours waits with it.
const STALL_MAX: Duration = Duration::from_secs(30);
/// Time for which a refused body is read on.
const DISCARD_WAIT: Duration = Duration::from_secs(5);

/// A body on its way in.
#[derive(Debug)]
pub struct Incoming {
    body: Body,
    /// The most decompressed bytes.
    limit: usize,
    read: usize,
    /// The memory of its bytes, decompressed.
    reservation: Option<Reservation>,
    decoder: Option<Decoder>,
    /// Compressed bytes that have arrived.
    compressed: Bytes,
    /// The first bytes, decompressed: they show what a body is that could not be read.
    beginning: Vec<u8>,
    /// The client waits for us before it sends anything.
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
            reservation: None,
            decoder: encoding.and_then(|name| Decoder::named(name.as_bytes())),
            compressed: Bytes::new(),
            beginning: Vec::new(),
            waits: headers.contains_key(header::EXPECT),
            ended: false,
        }
    }

    /// The same body, whose bytes take a part of this budget until it is dropped.
    pub fn within(self, budget: &MemoryBudget) -> Self {
        Self {
            reservation: Some(budget.open()),
            ..self
        }
    }

    /// Refuses what the headers alone rule out: a length beyond the limit, an encoding that is not known.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), EdgeError> {
        let encoding = headers.get(header::CONTENT_ENCODING);
        if let Some(name) = encoding.filter(|name| !name.as_bytes().eq_ignore_ascii_case(b"identity"))
            && self.decoder.is_none()
        {
            return Err(EdgeError::EncodingUnknown(format!("{name:?}")));
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
    pub async fn next(&mut self) -> Result<Option<Bytes>, EdgeError> {
        loop {
            if !self.compressed.is_empty() {
                let decoded = self.decode()?;
                if !decoded.is_empty() {
                    return self.count(decoded).map(Some);
                }
                continue;
            }
            if self.ended {
                return Ok(None);
            }
            match self.frame().await? {
                Some(piece) if self.decoder.is_some() => self.compressed = piece,
                Some(piece) if piece.is_empty() => {}
                Some(piece) => return self.count(piece).map(Some),
                None => {
                    self.ended = true;
                    let rest = self.finish_decoding()?;
                    if !rest.is_empty() {
                        return self.count(rest).map(Some);
                    }
                }
            }
        }
    }

    /// The whole body.
    pub async fn all(&mut self) -> Result<Bytes, EdgeError> {
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

    /// The beginning of what has been read.
    pub fn beginning(&self) -> &[u8] {
        &self.beginning
    }

    /// Reads the rest of a refused body and drops it: for a few seconds, and not more than once the limit.
    pub async fn discard(&mut self) {
        if self.waits && self.read == 0 {
            return;
        }
        self.reservation = None;
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

    async fn frame(&mut self) -> Result<Option<Bytes>, EdgeError> {
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
                    return Err(broken(&error));
                }
            }
        }
        Ok(None)
    }

    fn decode(&mut self) -> Result<Bytes, EdgeError> {
        let step = self.compressed.split_to(self.compressed.len().min(DECODE_BYTES));
        let Some(decoder) = &mut self.decoder else {
            return Ok(step);
        };
        let decoded = decoder.decode(&step);
        decoded.map(Bytes::from).map_err(|source| EdgeError::EncodingBroken {
            encoding: decoder.name(),
            source,
        })
    }

    fn finish_decoding(&mut self) -> Result<Bytes, EdgeError> {
        let Some(decoder) = &mut self.decoder else {
            return Ok(Bytes::new());
        };
        let rest = decoder.finish();
        rest.map(Bytes::from).map_err(|source| EdgeError::EncodingBroken {
            encoding: decoder.name(),
            source,
        })
    }

    fn count(&mut self, piece: Bytes) -> Result<Bytes, EdgeError> {
        self.read += piece.len();
        if self.read > self.limit {
            return Err(self.too_large());
        }
        if let Some(reservation) = &mut self.reservation {
            reservation.grow(piece.len() as u64)?;
        }
        let wanted = BEGINNING_BYTES_MAX.saturating_sub(self.beginning.len());
        self.beginning.extend_from_slice(&piece[..piece.len().min(wanted)]);
        Ok(piece)
    }

    fn stalled(&self) -> EdgeError {
        EdgeError::BodyStalled {
            waited: STALL_MAX,
            received: self.read,
        }
    }

    fn too_large(&self) -> EdgeError {
        EdgeError::BodyTooLarge { limit: self.limit }
    }
}

/// A body that takes a part of the budget as it is read, and what it holds: keep that until the request is answered. A body that
/// does not fit, or that breaks off, ends with the status of a refusal.
pub fn metered(body: Body, budget: &MemoryBudget) -> (Body, Arc<Mutex<Reservation>>) {
    let held = Arc::new(Mutex::new(budget.open()));
    let growing = Arc::clone(&held);
    let pieces = body.into_data_stream().map(move |piece| {
        let piece = piece.map_err(|error| as_status(broken(&error)))?;
        let mut reservation = growing.lock().unwrap_or_else(PoisonError::into_inner);
        let grown = reservation.grow(piece.len() as u64);
        grown.map_err(|exhausted| as_status(exhausted.into()))?;
        Ok::<_, axum::Error>(piece)
    });
    (Body::from_stream(pieces), held)
}

/// An error as the gRPC library finds it among the causes of what it reads.
fn as_status(error: EdgeError) -> axum::Error {
    axum::Error::new(error::status(&error.into()))
}

/// The error of a body that did not come to its end. A client that breaks HTTP's rules, or closes its side too early, may still
/// read why; after a reset nobody does.
fn broken(error: &axum::Error) -> EdgeError {
    let causes = std::iter::successors(error.source(), |cause| (**cause).source());
    let cause = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
    match io_kind(error) {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            EdgeError::BodyMalformed { cause }
        }
        _ => EdgeError::BodyBrokeOff { cause },
    }
}

/// The kind of the I/O error among the causes, which is how hyper reports what it cannot read.
fn io_kind(error: &axum::Error) -> Option<io::ErrorKind> {
    let mut causes = std::iter::successors(error.source(), |cause| (**cause).source());
    causes
        .find_map(|cause| cause.downcast_ref::<io::Error>())
        .map(io::Error::kind)
}
