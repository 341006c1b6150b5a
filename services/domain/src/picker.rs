//! Load balancing of online calls over workers.
//!
//! Promises: least load relative to slots; a failing worker only when there is no other, as fast failures look like
//! free capacity; a draining one never. Leaves gathering loads, and randomness, to the gateway.

/// Worker that [`pick`] can select.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Candidate {
    /// Calls sent to it without a response yet.
    pub in_flight: u32,
    /// Calls that it reports as queued.
    pub queued: u32,
    /// Concurrent calls; 0 (unknown) counts as 1.
    pub slots: u32,
    /// Set while it is penalised for recent failures.
    pub failing: bool,
    /// Set once it has announced its drain.
    pub draining: bool,
}

impl Candidate {
    /// Load per slot with the call added, as a fraction of 2^32.
    fn share(&self) -> u128 {
        let load = u128::from(self.in_flight) + u128::from(self.queued) + 1;
        (load << 32) / u128::from(self.slots.max(1))
    }
}

/// Index of the best candidate that is not in `exclude`; `random` decides between equal ones.
pub fn pick(candidates: &[Candidate], random: u64, exclude: &[usize]) -> Option<usize> {
    let key = |index: &usize| (candidates[*index].failing, candidates[*index].share());
    let eligible = || (0..candidates.len()).filter(|index| !candidates[*index].draining && !exclude.contains(index));
    let best = eligible().map(|index| key(&index)).min()?;
    let ties = || eligible().filter(|index| key(index) == best);
    let nth = usize::try_from(random % ties().count() as u64).unwrap_or(0);
    ties().nth(nth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(in_flight: u32, slots: u32) -> Candidate {
        Candidate {
            in_flight,
            slots,
            ..Candidate::default()
        }
    }

    #[test]
    fn least_load_per_slot_wins_and_ties_are_random() {
        let all = [candidate(3, 4), candidate(3, 8), candidate(2, 2)];
        assert_eq!(pick(&all, 7, &[]), Some(1));
        assert_eq!(pick(&all, 7, &[1]), Some(0));
        let equal = [candidate(1, 2); 3];
        let picked: Vec<_> = (0..3).map(|random| pick(&equal, random, &[])).collect();
        assert_eq!(picked, [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn failing_is_the_last_resort_and_draining_is_none() {
        let failing = Candidate {
            failing: true,
            ..candidate(0, 8)
        };
        let draining = Candidate {
            draining: true,
            ..candidate(0, 8)
        };
        assert_eq!(pick(&[failing, draining, candidate(9, 1)], 0, &[]), Some(2));
        assert_eq!(pick(&[failing, draining], 0, &[]), Some(0));
        assert_eq!(pick(&[draining], 0, &[]), None);
        assert_eq!(pick(&[], 0, &[]), None);
    }

    proptest! {
        #[test]
        fn the_pick_is_eligible_and_none_is_better(
            loads in prop::collection::vec((0u32..9, 0u32..9, 0u32..5, any::<bool>(), any::<bool>()), 0..12),
            random in any::<u64>(),
            exclude in prop::collection::vec(0usize..12, 0..4),
        ) {
            let all: Vec<_> = loads.into_iter().map(|(in_flight, queued, slots, failing, draining)| {
                Candidate { in_flight, queued, slots, failing, draining }
            }).collect();
            let free = |index: &usize| !all[*index].draining && !exclude.contains(index);
            match pick(&all, random, &exclude) {
                None => prop_assert!((0..all.len()).all(|index| !free(&index))),
                Some(best) => {
                    prop_assert!(free(&best));
                    let key = |index: usize| (all[index].failing, all[index].share());
                    prop_assert!((0..all.len()).filter(free).all(|index| key(best) <= key(index)));
                }
            }
        }
    }
}
