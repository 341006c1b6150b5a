//! Retries of failed tasks: limit and backoff.
//!
//! Promises: the delay depends on the policy, the task and the attempt alone, so every replica computes the same.
//! Leaves counting failures to the ledger.

use std::time::Duration;

use crate::ids::TaskId;
use crate::reason::ApiError;

/// Retry policy for failures. Lost workers do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts that may fail before the task does, 1 to [`RetryPolicy::MAX_ATTEMPTS`].
    pub max_attempts: u32,
    /// Delay after the first failure.
    pub initial_backoff: Duration,
    /// Longest delay, at most [`RetryPolicy::MAX_BACKOFF`].
    pub max_backoff: Duration,
    /// Growth of the delay per failure, in percent: 200 doubles it. 100 to 1,000.
    pub multiplier_percent: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            initial_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(30),
            multiplier_percent: 200,
        }
    }
}

impl RetryPolicy {
    /// Most attempts that a policy may allow.
    pub const MAX_ATTEMPTS: u32 = 1_000;
    /// Longest delay that a policy may set.
    pub const MAX_BACKOFF: Duration = Duration::from_secs(24 * 60 * 60);

    /// Checks every limit. Fails with FIELD_INVALID.
    pub fn check(&self) -> Result<(), ApiError> {
        if !(1..=Self::MAX_ATTEMPTS).contains(&self.max_attempts) {
            return Err(ApiError::field(
                "retry.max_attempts",
                format!("{} is not in 1..=1000", self.max_attempts),
            ));
        }
        if self.max_backoff > Self::MAX_BACKOFF {
            let rule = format!("{:?} is more than 24 h", self.max_backoff);
            return Err(ApiError::field("retry.max_backoff", rule));
        }
        if self.initial_backoff > self.max_backoff {
            let rule = format!(
                "{:?} is more than max_backoff, {:?}",
                self.initial_backoff, self.max_backoff
            );
            return Err(ApiError::field("retry.initial_backoff", rule));
        }
        if !(100..=1_000).contains(&self.multiplier_percent) {
            let rule = format!("{} is not in 100..=1000", self.multiplier_percent);
            return Err(ApiError::field("retry.multiplier_percent", rule));
        }
        Ok(())
    }
}

/// Delay before the next attempt after attempt or failure number `attempt` (from 1): exponential up to the policy's
/// maximum, with a jitter of up to 20 % either way.
pub fn backoff(policy: &RetryPolicy, task: TaskId, attempt: u32) -> Duration {
    let max = policy.max_backoff.as_micros();
    let mut delay = policy.initial_backoff.as_micros().min(max);
    for _ in 1..attempt {
        let grown = delay * u128::from(policy.multiplier_percent) / 100;
        // Constant from here on: at the top, or not growing at all.
        if grown >= max || grown == delay {
            delay = grown.min(max);
            break;
        }
        delay = grown;
    }
    let jitter_permille = 800 + u128::from(mix(task, attempt) % 401);
    Duration::from_micros(u64::try_from(delay * jitter_permille / 1_000).unwrap_or(u64::MAX))
}

/// Spreads task and attempt over 64 bits (the finaliser of SplitMix64), so that tasks that failed together do not
/// return together.
fn mix(task: TaskId, attempt: u32) -> u64 {
    let id = task.as_u128();
    let mut x =
        (id as u64) ^ ((id >> 64) as u64).rotate_left(32) ^ u64::from(attempt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
