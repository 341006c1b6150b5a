//! Memory that many share, in bytes of what they hold.
//!
//! Promises: what is taken is never more than there is; who is larger than all of it gets it alone; those that wait are
//! served in turn. Leaves measuring to whoever takes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::stopwatch::Stopwatch;

/// Memory. Clones share it.
#[derive(Debug, Clone)]
pub struct Memory {
    kibibytes: Arc<Semaphore>,
    kibibytes_max: u32,
}

/// A part of it; it is free again when this is dropped.
#[derive(Debug)]
pub struct Held {
    _kibibytes: Option<OwnedSemaphorePermit>,
}

impl Memory {
    /// So many bytes.
    pub fn new(bytes: u64) -> Self {
        let kibibytes_max = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).max(1);
        let kibibytes = usize::try_from(kibibytes_max)
            .unwrap_or(Semaphore::MAX_PERMITS)
            .min(Semaphore::MAX_PERMITS);
        Self {
            kibibytes: Arc::new(Semaphore::new(kibibytes)),
            kibibytes_max,
        }
    }

    /// Takes so many bytes if they are there now.
    pub fn try_take(&self, bytes: u64) -> Option<Held> {
        let permit = Arc::clone(&self.kibibytes).try_acquire_many_owned(self.kibibytes(bytes));
        permit.ok().map(|permit| Held {
            _kibibytes: Some(permit),
        })
    }

    /// Takes so many bytes as soon as they are there; `stopwatch` stands still until then.
    pub async fn take(&self, bytes: u64, stopwatch: &Stopwatch) -> Held {
        let _waits = stopwatch.pause();
        let permit = Arc::clone(&self.kibibytes).acquire_many_owned(self.kibibytes(bytes));
        Held {
            // Nobody closes it.
            _kibibytes: permit.await.ok(),
        }
    }

    fn kibibytes(&self, bytes: u64) -> u32 {
        u32::try_from(bytes >> 10)
            .unwrap_or(u32::MAX)
            .clamp(1, self.kibibytes_max)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_waits_is_served_in_turn_and_the_largest_alone() {
        let (memory, stopwatch) = (Memory::new(1 << 20), Stopwatch::default());
        let half = memory.take(512 << 10, &stopwatch).await;
        let mut all = Box::pin(memory.take(64 << 20, &stopwatch));
        assert!((&mut all).now_or_never().is_none());
        assert!(
            memory.take(1, &stopwatch).now_or_never().is_none(),
            "it is not its turn"
        );
        assert!(memory.try_take(1).is_none());
        drop(half);
        let all = all.await;
        assert!(memory.try_take(1).is_none());
        drop(all);
        assert!(memory.try_take(1).is_some());
    }
}
