//! A budget of memory that requests share, in bytes of what they hold.
//!
//! Promises: what is reserved is never more than the budget; a request that is larger than the whole budget gets all
//! of it alone; those that wait are served in turn. Leaves measuring to the holders, and the wire form of a refusal to
//! services.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes in one permit of the semaphore, whose permits are counted in 32 bits at a time.
const PERMIT_BYTES: u64 = 1 << 10;

/// A budget of bytes. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    permits: Arc<Semaphore>,
    permits_max: u32,
    free_bytes: u64,
}

/// A part of a [`MemoryBudget`], returned when this is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: MemoryBudget,
    bytes: u64,
    permit: Option<OwnedSemaphorePermit>,
}

/// The budget has not that much left at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the requests under way hold as much memory as they may")]
pub struct Exhausted;

impl MemoryBudget {
    /// A budget of this many bytes, and of 1 KiB at least.
    pub fn new(bytes: u64) -> Self {
        let most = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
        let permits_max = u32::try_from(bytes / PERMIT_BYTES).unwrap_or(u32::MAX).clamp(1, most);
        Self {
            permits: Arc::new(Semaphore::new(permits_max as usize)),
            permits_max,
            free_bytes: 0,
        }
    }

    /// The same budget, in which the first bytes of each reservation are free: a small request, such as a cancel, is
    /// taken whatever large ones hold.
    #[must_use]
    pub fn with_free_bytes(self, free_bytes: u64) -> Self {
        Self { free_bytes, ..self }
    }

    /// A reservation of nothing yet, which [grows](Reservation::grow) with what arrives.
    pub fn open(&self) -> Reservation {
        Reservation {
            budget: self.clone(),
            bytes: 0,
            permit: None,
        }
    }

    /// Reserves this many bytes if they are left now.
    pub fn try_reserve(&self, bytes: u64) -> Result<Reservation, Exhausted> {
        let mut reservation = self.open();
        reservation.grow(bytes)?;
        Ok(reservation)
    }

    /// Reserves this many bytes as soon as they are left, after those that have waited longer.
    pub async fn reserve(&self, bytes: u64) -> Reservation {
        let mut reservation = self.open();
        reservation.bytes = bytes;
        let permits = self.permits_for(bytes);
        if permits > 0 {
            // An error would say that the semaphore is closed, which nobody does.
            reservation.permit = Arc::clone(&self.permits).acquire_many_owned(permits).await.ok();
        }
        reservation
    }

    /// The permits of a reservation of this many bytes. At most all, as more would never come.
    fn permits_for(&self, bytes: u64) -> u32 {
        let permits = bytes.saturating_sub(self.free_bytes).div_ceil(PERMIT_BYTES);
        u32::try_from(permits).unwrap_or(u32::MAX).min(self.permits_max)
    }
}

impl Reservation {
    /// Reserves this many more bytes if they are left now; otherwise the reservation keeps what it had.
    pub fn grow(&mut self, bytes: u64) -> Result<(), Exhausted> {
        let total = self.bytes.saturating_add(bytes);
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let held = u32::try_from(held).unwrap_or(u32::MAX);
        let more = self.budget.permits_for(total).saturating_sub(held);
        if more > 0 {
            let permits = Arc::clone(&self.budget.permits);
            let more = permits.try_acquire_many_owned(more).map_err(|_| Exhausted)?;
            match &mut self.permit {
                Some(permit) => permit.merge(more),
                None => self.permit = Some(more),
            }
        }
        self.bytes = total;
        Ok(())
    }

    /// The bytes that are reserved, the free ones included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[tokio::test]
    async fn waiting_reservations_are_served_in_turn_and_the_largest_alone() {
        let budget = MemoryBudget::new(MIB);
        let half = budget.reserve(MIB / 2).await;
        let mut all = Box::pin(budget.reserve(64 * MIB));
        assert!((&mut all).now_or_never().is_none());
        assert!(budget.reserve(1).now_or_never().is_none(), "it is not its turn");
        assert_eq!(budget.try_reserve(1).map(drop), Err(Exhausted));
        drop(half);
        let all = all.await;
        assert_eq!(budget.try_reserve(1).map(drop), Err(Exhausted));
        drop(all);
        assert!(budget.try_reserve(1).is_ok());
    }

    #[test]
    fn reservations_grow_share_the_budget_and_return_it() {
        let budget = MemoryBudget::new(MIB).with_free_bytes(16 << 10);
        let (mut first, mut second) = (budget.open(), budget.open());
        for _ in 0..700 {
            first.grow(1 << 10).expect("there is room");
        }
        assert_eq!(second.grow(700 << 10), Err(Exhausted));
        assert_eq!((first.bytes(), second.bytes()), (700 << 10, 0));
        budget.open().grow(16 << 10).expect("small ones are free");
        drop(first);
        budget.open().grow(700 << 10).expect("there is room again");
    }

    #[test]
    fn a_growing_reservation_beyond_the_budget_has_it_alone() {
        let budget = MemoryBudget::new(MIB);
        let mut large = budget.try_reserve(MIB / 2).expect("there is room");
        large.grow(2 * MIB).expect("nobody else is there");
        assert_eq!(budget.try_reserve(1).map(drop), Err(Exhausted));
        drop(large);
        assert!(budget.try_reserve(MIB).is_ok());
    }
}
