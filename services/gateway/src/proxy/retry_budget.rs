//! Budget of second tries.
//!
//! Promises: retries add at most a tenth to the load, and ten a second on top, so that a fleet in trouble is not pushed
//! under. Leaves deciding what may be retried to its caller.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Parts of a retry that each call earns: ten calls pay for one.
const EARNED_PER_CALL: u64 = 100;
/// Parts of a retry that each second earns.
const EARNED_PER_S: u64 = 10_000;
/// Parts that make one retry.
const COST: u64 = 1_000;
/// The most that is saved up: a second's worth of quiet.
const SAVED_MAX: u64 = 10_000;

/// A shared account. Times are those of one monotonic clock.
#[derive(Debug, Clone)]
pub struct RetryBudget {
    account: Arc<Mutex<Account>>,
}

#[derive(Debug)]
struct Account {
    saved: u64,
    at: Duration,
}

impl RetryBudget {
    /// A full account.
    pub fn new(now: Duration) -> Self {
        Self {
            account: Arc::new(Mutex::new(Account {
                saved: SAVED_MAX,
                at: now,
            })),
        }
    }

    /// Notes a first try.
    pub fn earn(&self, now: Duration) {
        self.with(now, |account| {
            account.saved = (account.saved + EARNED_PER_CALL).min(SAVED_MAX)
        });
    }

    /// Pays for a second try. False where the budget is used up.
    pub fn spend(&self, now: Duration) -> bool {
        self.with(now, |account| {
            let left = account.saved.checked_sub(COST);
            account.saved = left.unwrap_or(account.saved);
            left.is_some()
        })
    }

    fn with<T>(&self, now: Duration, change: impl FnOnce(&mut Account) -> T) -> T {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed_ms = u64::try_from(now.saturating_sub(account.at).as_millis()).unwrap_or(u64::MAX);
        if elapsed_ms > 0 {
            account.at = now;
            account.saved = account
                .saved
                .saturating_add(elapsed_ms.saturating_mul(EARNED_PER_S) / 1_000)
                .min(SAVED_MAX);
        }
        change(&mut account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_tenth_of_the_calls_and_ten_a_second() {
        let start = Duration::from_secs(1);
        let budget = RetryBudget::new(start);
        let spent = |now| (0..1_000).filter(|_| budget.spend(now)).count();
        assert_eq!(spent(start), 10);
        (0..50).for_each(|_| budget.earn(start));
        assert_eq!(spent(start), 5);
        assert_eq!(spent(start + Duration::from_millis(300)), 3);
        assert_eq!(spent(start + Duration::from_secs(60)), 10);
    }
}
