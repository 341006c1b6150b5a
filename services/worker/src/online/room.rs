//! How many calls may be here, and how much memory their tables may hold.
//!
//! Promises: what does not fit is refused at once, with a time to try again; a call that is too large for the whole room
//! is let in when nobody else is there. Leaves the order of those that wait to `compute`.

use std::sync::Arc;
use std::time::Duration;

use lepton_domain::reason::{Fault, Reason};
use lepton_proto::analysis::v1::AnalyzeRequest;
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::memory::{Held, Memory};

/// When a refused caller should try again: about as long as a call of usual size takes.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Room for calls.
#[derive(Debug, Clone)]
pub struct Room {
    places: Arc<Semaphore>,
    memory: Memory,
}

/// A call's place; it is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    _place: OwnedSemaphorePermit,
    _memory: Held,
}

impl Room {
    /// Room for so many calls with so many bytes of tables.
    pub fn new(calls: usize, bytes: u64) -> Self {
        Self {
            places: Arc::new(Semaphore::new(calls.min(Semaphore::MAX_PERMITS))),
            memory: Memory::new(bytes),
        }
    }

    /// A place for this call. Fails with OVERLOADED.
    pub fn enter(&self, request: &AnalyzeRequest) -> Result<Place, Fault> {
        self.take(request.encoded_len())
    }

    /// A place for a call that holds so many bytes. Fails with OVERLOADED.
    pub fn take(&self, bytes: usize) -> Result<Place, Fault> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        match (place, self.memory.try_take(bytes as u64)) {
            (Ok(place), Some(memory)) => Ok(Place {
                _place: place,
                _memory: memory,
            }),
            (Err(_), _) => Err(overloaded("as many calls wait as may")),
            (_, None) => Err(overloaded("the calls that wait hold as much memory as they may")),
        }
    }
}

fn overloaded(why: &str) -> Fault {
    Fault::new(Reason::Overloaded, format!("{why}; try again shortly or elsewhere")).retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_bytes_are_bounded() {
        let room = Room::new(2, 1 << 20);
        let first = room.take(700 << 10).unwrap();
        let refused = room.take(700 << 10).unwrap_err();
        assert_eq!(
            (refused.reason, refused.retry_after),
            (Reason::Overloaded, Some(RETRY_AFTER))
        );
        let _second = room.take(10).unwrap();
        assert_eq!(room.take(10).unwrap_err().reason, Reason::Overloaded);
        drop(first);
        assert!(room.take(700 << 10).is_ok());
    }

    #[test]
    fn what_is_larger_than_the_room_may_have_it_alone() {
        let room = Room::new(2, 1 << 20);
        let large = room.take(64 << 20).unwrap();
        assert!(room.take(1).is_err());
        drop(large);
        assert!(room.take(1).is_ok());
    }
}
