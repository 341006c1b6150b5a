//! How many bytes of requests may be here at once.
//!
//! Promises: a body takes its room while it arrives and gives it back once its request is answered; what does not fit is
//! refused at once, with a time to try again. Leaves the size of one body to `body`, and the number of calls to `online`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use futures::StreamExt as _;
use lepton_core::error;
use lepton_domain::reason::{Fault, Reason};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// When a refused caller should try again: about as long as a large body takes to be dealt with.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Bytes of a request that take no room, so that what is small, as a cancel, is taken whatever others send.
const FREE_BYTES: usize = 16 * 1024;

/// Room for bodies. Clones share it.
#[derive(Debug, Clone)]
pub struct Room {
    kibibytes: Arc<Semaphore>,
}

/// What one request holds of the room; free again when this is dropped.
#[derive(Debug)]
pub struct Held {
    room: Room,
    bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Room for so many bytes.
    pub fn new(bytes: usize) -> Self {
        let kibibytes = (bytes >> 10).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            kibibytes: Arc::new(Semaphore::new(kibibytes)),
        }
    }

    /// A request of which nothing has come yet.
    pub fn hold(&self) -> Held {
        Held {
            room: self.clone(),
            bytes: 0,
            permit: None,
        }
    }

    /// A body that takes room as it is read, and what it holds: keep that until the request is answered. A body that
    /// does not fit ends with the status of a refusal.
    pub fn meter(&self, body: Body) -> (Body, Arc<Mutex<Held>>) {
        let held = Arc::new(Mutex::new(self.hold()));
        let growing = held.clone();
        let pieces = body.into_data_stream().map(move |piece| {
            let piece = piece?;
            let grown = growing.lock().unwrap_or_else(PoisonError::into_inner).grow(piece.len());
            grown.map_err(|fault| axum::Error::new(error::status(&fault)))?;
            Ok::<_, axum::Error>(piece)
        });
        (Body::from_stream(pieces), held)
    }
}

impl Held {
    /// Takes room for so many more bytes. Fails with OVERLOADED.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(bytes);
        let needed = self.bytes.saturating_sub(FREE_BYTES).div_ceil(1 << 10);
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = needed.checked_sub(held).filter(|more| *more > 0) else {
            return Ok(());
        };
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.room.kibibytes).try_acquire_many_owned(more);
        let more = more.map_err(|_| overloaded())?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

fn overloaded() -> Fault {
    let message = "the requests under way hold as much memory as they may; try again shortly or elsewhere";
    Fault::new(Reason::Overloaded, message).retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http_body_util::BodyExt as _;
    use tonic::Status;

    use super::*;

    #[test]
    fn requests_share_the_room_and_give_it_back() {
        let room = Room::new(1 << 20);
        let (mut first, mut second) = (room.hold(), room.hold());
        for _ in 0..700 {
            first.grow(1 << 10).expect("room");
        }
        let refused = second.grow(700 << 10).expect_err("no room");
        assert_eq!(
            (refused.reason, refused.retry_after),
            (Reason::Overloaded, Some(RETRY_AFTER))
        );
        room.hold().grow(FREE_BYTES).expect("small");
        drop(first);
        room.hold().grow(700 << 10).expect("room again");
    }

    #[tokio::test]
    async fn a_metered_body_ends_where_the_room_does() {
        let room = Room::new(64 << 10);
        let body = |pieces: usize| {
            let pieces = (0..pieces).map(|_| Ok::<_, Infallible>(Bytes::from(vec![7; 8 << 10])));
            Body::from_stream(futures::stream::iter(pieces))
        };
        let (whole, held) = room.meter(body(8));
        assert_eq!(whole.collect().await.expect("room").to_bytes().len(), 64 << 10);
        let (refused, _none) = room.meter(body(8));
        let failed = refused.collect().await.expect_err("no room");
        let status = Status::from_error(Box::new(failed));
        let fault = error::fault(&status);
        assert_eq!(
            (fault.reason, fault.retry_after),
            (Reason::Overloaded, Some(RETRY_AFTER)),
            "{status}"
        );
        drop(held);
        let (whole, _held) = room.meter(body(8));
        whole.collect().await.expect("room again");
    }
}
