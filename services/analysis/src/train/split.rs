//! The choice of rows that are held back to judge a model.

/// The next number of SplitMix64 (Steele, Lea and Flood: Fast splittable pseudorandom number generators, 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Number of rows in a share of `rows`; part of a row counts as one.
pub(super) fn held_back(rows: usize, share: f64) -> usize {
    ((rows as f64 * share).ceil() as usize).min(rows)
}

/// Marks `held` of `rows` rows.
pub(super) fn chosen(rows: usize, held: usize, seed: u64) -> Vec<bool> {
    let mut state = seed;
    let mut order: Vec<usize> = (0..rows).collect();
    let mut marks = vec![false; rows];
    for place in 0..held {
        let left = (rows - place) as u128;
        // Below `left`, so it fits.
        let other = ((u128::from(next(&mut state)) * left) >> 64) as usize;
        order.swap(place, place + other);
        marks[order[place]] = true;
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers for seed 1234567, as other implementations give them.
    #[test]
    fn the_generator_is_splitmix64() {
        let mut state = 1_234_567;
        let numbers = [next(&mut state), next(&mut state), next(&mut state)];
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn a_share_is_held_back_and_the_seed_says_which() {
        let count = |marks: &[bool]| marks.iter().filter(|mark| **mark).count();
        for (rows, share, held) in [(10, 0.2, 2), (11, 0.2, 3), (3, 0.0, 0), (1, 0.5, 1), (0, 0.5, 0)] {
            assert_eq!(held_back(rows, share), held);
            assert_eq!(count(&chosen(rows, held, 42)), held);
        }
        assert_eq!(chosen(100, 20, 42), chosen(100, 20, 42));
        assert_ne!(chosen(100, 20, 42), chosen(100, 20, 43));
    }

    /// Every row is as likely as another to be held back.
    #[test]
    fn no_row_is_preferred() {
        let mut counts = [0_u32; 10];
        for seed in 0..10_000 {
            for (count, mark) in counts.iter_mut().zip(chosen(10, 3, seed)) {
                *count += u32::from(mark);
            }
        }
        // The standard deviation is 46.
        assert!(counts.iter().all(|count| (2_770..3_230).contains(count)), "{counts:?}");
    }
}
