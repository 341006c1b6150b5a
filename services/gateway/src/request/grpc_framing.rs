//! gRPC's framing over HTTP: messages behind a prefix, and the status in the trailers.
//!
//! Promises: messages come out however the transport cut them; an answer beyond the limit is an error, not memory. Leaves what
//! the messages mean to its callers, who pass encoded bytes on without reading them.

use std::collections::VecDeque;
use std::error::Error as _;

use axum::body::Body;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures::Stream;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use lepton_core::error;
use prost::Message;

use crate::request::error::UpstreamError;

#[cfg(test)]
mod tests;

/// Bytes in front of every gRPC message: a compression flag and the length.
pub const PREFIX_BYTES: usize = 5;
/// The largest answer that is taken. Tables of 65,536 columns stay below it.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The prefix of a message of this length.
pub fn prefix(length: usize) -> [u8; PREFIX_BYTES] {
    let length = u32::try_from(length).expect("bodies are bounded far below 4 GiB");
    let [a, b, c, d] = length.to_be_bytes();
    [0, a, b, c, d]
}

/// A message behind its prefix.
pub fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_slice(&prefix(message.len()));
    framed.put_slice(message);
    framed.freeze()
}

/// A message behind its prefix, encoded once and copied never.
pub fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + length);
    framed.put_slice(&prefix(length));
    message.encode_raw(&mut framed);
    framed.freeze()
}

/// The messages of an answer, as they come in.
pub struct MessageStream {
    body: Body,
    buffer: BytesMut,
    ready: VecDeque<Bytes>,
    ended: bool,
}

/// The messages of an answer. A call that failed at once is an error here.
pub fn messages(response: Response<Body>) -> Result<MessageStream, UpstreamError> {
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(UpstreamError::Http(head.status));
    }
    outcome(&head.headers)?;
    Ok(MessageStream {
        body,
        buffer: BytesMut::new(),
        ready: VecDeque::new(),
        ended: false,
    })
}

impl MessageStream {
    /// The next message, or `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(Some(message));
            }
            if self.ended {
                return Ok(None);
            }
            match self.body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.take(data)?,
                    Err(frame) => {
                        self.ended = true;
                        outcome(frame.trailers_ref().unwrap_or(&HeaderMap::new()))?;
                    }
                },
                Some(Err(error)) => return Err(broke_off(&error)),
                None => self.ended = true,
            }
        }
    }

    /// The only message of a unary call.
    pub async fn only(mut self) -> Result<Bytes, UpstreamError> {
        let message = self.next().await?;
        // The status comes behind the message.
        while self.next().await?.is_some() {}
        message.ok_or(UpstreamError::Empty)
    }

    /// The remaining messages; ends after the first error.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes, UpstreamError>> {
        futures::stream::unfold(Some(self), |state| async {
            let mut messages = state?;
            match messages.next().await {
                Ok(message) => message.map(|message| (Ok(message), Some(messages))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    fn take(&mut self, data: Bytes) -> Result<(), UpstreamError> {
        self.buffer.extend_from_slice(&data);
        while self.buffer.len() >= PREFIX_BYTES {
            let length = (&self.buffer[1..PREFIX_BYTES]).get_u32() as usize;
            if self.buffer[0] != 0 {
                return Err(UpstreamError::Compressed);
            }
            if length > ANSWER_BYTES_MAX {
                return Err(UpstreamError::TooLarge(length));
            }
            if self.buffer.len() < PREFIX_BYTES + length {
                break;
            }
            self.buffer.advance(PREFIX_BYTES);
            self.ready.push_back(self.buffer.split_to(length).freeze());
        }
        Ok(())
    }
}

/// The error of an answer whose service died in the middle of it, or the way to it broke.
fn broke_off(error: &axum::Error) -> UpstreamError {
    let causes = std::iter::successors(error.source(), |cause| (**cause).source());
    let cause = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
    UpstreamError::BrokeOff(cause)
}

/// The error in headers or trailers, if they carry a status that is not OK.
fn outcome(headers: &HeaderMap) -> Result<(), UpstreamError> {
    match tonic::Status::from_header_map(headers) {
        Some(status) if status.code() != tonic::Code::Ok => Err(UpstreamError::Refused(error::from_status(&status))),
        _ => Ok(()),
    }
}
