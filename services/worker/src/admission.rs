//! Admission of calls: bounded in their number and in the memory of their tables and tensors.
//!
//! Promises: a call that does not fit is refused at once, with a time to try again; a call larger than the whole budget
//! is admitted when no other is there. Leaves the order of waiting calls to [`CpuPool`](crate::cpu_pool::CpuPool).

use std::sync::Arc;
use std::time::Duration;

use lepton_mesh::memory_budget::{MemoryBudget, Reservation};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Time after which a refused caller should try again: about as long as a call of usual size takes.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Admits calls, as [`AdmissionPermit`]s. Clones share the limits.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    calls: Arc<Semaphore>,
    memory: MemoryBudget,
}

/// A call that [`Admission`] has admitted, which counts until this is dropped.
#[derive(Debug)]
pub(crate) struct AdmissionPermit {
    _call: OwnedSemaphorePermit,
    _memory: Reservation,
}

/// A call that [`Admission`] refuses: it does not fit beside those under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AdmissionError {
    /// Too many calls.
    #[error("as many calls wait as may; try again shortly or elsewhere")]
    Calls,
    /// Too many bytes.
    #[error("the calls that wait hold as much memory as they may; try again shortly or elsewhere")]
    Memory,
}

impl AdmissionError {
    /// Time after which the caller should try again.
    pub(crate) fn retry_after(self) -> Duration {
        RETRY_AFTER
    }
}

impl Admission {
    /// Admits so many calls that hold so many bytes together.
    pub(crate) fn new(calls: usize, bytes: u64) -> Self {
        Self {
            calls: Arc::new(Semaphore::new(calls.min(Semaphore::MAX_PERMITS))),
            memory: MemoryBudget::new(bytes),
        }
    }

    /// Admits a call that holds so many bytes.
    pub(crate) fn admit(&self, bytes: usize) -> Result<AdmissionPermit, AdmissionError> {
        let call = Arc::clone(&self.calls).try_acquire_owned();
        let call = call.map_err(|_| AdmissionError::Calls)?;
        let memory = self
            .memory
            .try_reserve(bytes as u64)
            .map_err(|_| AdmissionError::Memory)?;
        Ok(AdmissionPermit {
            _call: call,
            _memory: memory,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_bytes_are_bounded() {
        let admission = Admission::new(2, 1 << 20);
        let first = admission.admit(700 << 10).unwrap();
        assert_eq!(admission.admit(700 << 10).unwrap_err(), AdmissionError::Memory);
        let _second = admission.admit(10).unwrap();
        assert_eq!(admission.admit(10).unwrap_err(), AdmissionError::Calls);
        drop(first);
        assert!(admission.admit(700 << 10).is_ok());
    }

    #[test]
    fn a_call_larger_than_the_budget_is_admitted_alone() {
        let admission = Admission::new(2, 1 << 20);
        let large = admission.admit(64 << 20).unwrap();
        assert!(admission.admit(1).is_err());
        drop(large);
        assert!(admission.admit(1).is_ok());
    }
}
