//! The only source of randomness of the mesh.
//!
//! Promises: lock-free, and the same seed gives the same numbers to a single reader. The numbers are for ids, jitter
//! and tie-breaks; they are predictable to whoever sees some, so secrets must not be made here.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lepton_domain::ids::InstanceId;

/// The odd step of splitmix64: 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A generator of random numbers. Clones draw from the same sequence.
#[derive(Clone, Debug)]
pub struct Random {
    counter: Arc<AtomicU64>,
    /// Keeps two processes apart whose counters happen to meet.
    key: u64,
}

impl Random {
    /// Seeded by the operating system.
    pub fn from_os() -> Self {
        // The standard library keys its hashers from the system's entropy: enough here, and no dependency.
        let draw = || RandomState::new().hash_one(STEP);
        Self {
            counter: Arc::new(AtomicU64::new(draw())),
            key: draw(),
        }
    }

    /// Repeatable: the same seed gives the same sequence.
    pub fn seeded(seed: u64) -> Self {
        Self {
            counter: Arc::new(AtomicU64::new(mix(seed))),
            key: mix(seed ^ STEP),
        }
    }

    /// The next 64 random bits.
    pub fn next_u64(&self) -> u64 {
        // Relaxed: each reader needs a number of its own, not an order.
        mix(mix(self.counter.fetch_add(STEP, Ordering::Relaxed)) ^ self.key)
    }

    /// The next 128 random bits.
    pub fn next_u128(&self) -> u128 {
        u128::from(self.next_u64()) << 64 | u128::from(self.next_u64())
    }

    /// A number below `limit`; 0 for a limit of 0. The bias is at most `limit` / 2^64.
    pub fn below(&self, limit: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(limit);
        (wide >> 64) as u64
    }

    /// 16 hexadecimal digits.
    pub fn token(&self) -> String {
        format!("{:016x}", self.next_u64())
    }

    /// A fresh name for an instance, such as `worker-3f2a9c1d`.
    pub fn instance(&self, prefix: &str) -> InstanceId {
        InstanceId::new(format!("{prefix}-{:08x}", self.next_u64() >> 32))
    }
}

/// The finisher of splitmix64: every input bit reaches every output bit.
fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_repeats_and_seeds_differ() {
        let draw = |seed| {
            let random = Random::seeded(seed);
            (0..100).map(|_| random.next_u64()).collect::<BTreeSet<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert!(draw(1).is_disjoint(&draw(2)));
        assert_eq!(draw(1).len(), 100);
        assert_ne!(Random::from_os().next_u128(), Random::from_os().next_u128());
    }

    #[test]
    fn numbers_below_a_limit_reach_all_of_it() {
        let random = Random::seeded(7);
        let seen: BTreeSet<_> = (0..1_000).map(|_| random.below(10)).collect();
        assert_eq!(seen, (0..10).collect());
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn names_have_their_documented_shape() {
        let random = Random::seeded(7);
        assert_eq!(random.token().len(), 16);
        let name = random.instance("worker").as_str().to_owned();
        assert!(
            name.starts_with("worker-") && name.len() == "worker-".len() + 8,
            "{name}"
        );
    }
}
